import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { invocation, testRuntime } from "../../cni/call.test-data.ts";
import { invoke } from "../../cni/invoke.ts";
import type { Verb } from "../../cni/version.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import type { JsonObject } from "../../json/value.ts";
import { plugin } from "./plugin.ts";

export interface PoolCall {
  /** Its name; node-local state is kept apart by it. "a" otherwise. */
  readonly node?: string;
  readonly ifName?: string;
  readonly args?: string;
  /** Members of the config besides the shared ones. */
  readonly config?: JsonObject;
}

/** A folder that several nodes share as their cluster, and the calls of a runtime on each of them. */
export class PoolSite implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "polynic-pool-"));

  get manifests(): string {
    return join(this.folder, "manifests");
  }

  dataDir(node = "a"): string {
    return join(this.folder, node);
  }

  /** One call of the plugin for a container, with `ipam` as the network's. */
  async call(verb: Verb, containerId: string, ipam: JsonObject, options: PoolCall = {}) {
    const { node = "a", ifName = "net1", args = "" } = options;
    using runtime = testRuntime([plugin], { environment: { NODENAME: node } });
    const config: JsonObject = {
      cniVersion: "1.1.0",
      name: "net",
      type: "macvlan",
      ...options.config,
      ipam: { type: "whereabouts", manifests: this.manifests, data_dir: this.dataDir(node), ...ipam },
    };
    return await invoke(runtime, invocation("whereabouts", { verb, containerId, ifName, args, config }));
  }

  /** The addresses that an ADD gives. */
  async add(containerId: string, ipam: JsonObject, options: PoolCall = {}): Promise<string[]> {
    const result = await this.call("ADD", containerId, ipam, options);
    return result!.ips.map(({ address }) => formatPrefix(address));
  }

  /** The names of all reservations. */
  reservations(): string[] {
    return this.files(join(this.manifests, ".state", "whereabouts", "overlappingrangeipreservations")).map((name) =>
      name.replace(/\.json$/, ""),
    );
  }

  journals(node = "a"): string[] {
    return this.files(join(this.dataDir(node), "journal"));
  }

  files(folder: string): string[] {
    return existsSync(folder) ? readdirSync(folder).sort() : [];
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}
