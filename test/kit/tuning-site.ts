// What the tests of tuning share: a pod with a macvlan, tuning behind it, and the folder of its backups.
import { readdirSync } from "node:fs";
import { afterEach, beforeEach } from "vitest";
import { encodeResult } from "../../src/cni/result-encode.ts";
import type { Result } from "../../src/cni/result.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { BuiltinCaller, type ChainCall } from "./builtin-caller.ts";
import { Lan, type NodeNetns, type PinnedNetns } from "./node-netns.ts";
import { type KernelObject, snapshot } from "./snapshot.ts";
import { type TemporaryFolder, temporaryFolder } from "./tmp.ts";

export const mac = "02:00:00:00:00:0a";

/** Every setting of the interface. */
export const everything = { mac, mtu: 1400, promisc: true, allmulti: true, txQLen: 777 };

export const ipam = {
  type: "static",
  addresses: [{ address: "192.0.2.5/24", gateway: "192.0.2.1" }, { address: "2001:db8::5/64" }],
};

/** The plugin that tuning stands behind. */
export const macvlan = {
  type: "macvlan",
  master: "eth0",
  ipam: { ...ipam, routes: [{ dst: "0.0.0.0/0" }] },
};

/** A result as the next plugin of a chain gets it. */
export function asPrevious(result: Result): JsonObject {
  return encodeResult(result, "1.1.0");
}

/** A site for each test of the block. */
export function useTuningSite(): () => TuningSite {
  let site: TuningSite | undefined;
  beforeEach(() => {
    site = new TuningSite();
  });
  afterEach(() => site?.[Symbol.dispose]());
  return () => {
    if (site === undefined) throw new Error("only a test has a site");
    return site;
  };
}

export class TuningSite implements Disposable {
  /** Of each test its own: a MAC is in use until the kernel is through with taking an earlier pod away. */
  readonly #lan = new Lan();
  readonly node: NodeNetns = this.#lan.node();
  readonly caller = new BuiltinCaller(this.node);
  readonly pod: PinnedNetns = this.node.pod();
  /** Of the backups. */
  readonly folder: TemporaryFolder = temporaryFolder();

  tuning(own: JsonObject = {}): JsonObject & { readonly type: string } {
    return { type: "tuning", dataDir: this.folder.path, ...own };
  }

  chain(own: JsonObject = {}): ChainCall {
    return { plugins: [macvlan, this.tuning(own)], pod: this.pod };
  }

  link(name = "net1"): KernelObject | undefined {
    return snapshot(this.pod.path).links[name];
  }

  /** Names of the backups. */
  files(): string[] {
    return readdirSync(this.folder.path).sort();
  }

  [Symbol.dispose](): void {
    this.caller[Symbol.dispose]();
    this.#lan[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}
