// Calls built-in plugins as functions of this process, as the dispatcher does, on a node of the kit.
import type { Plugin, Runtime } from "../../src/cni/plugin.ts";
import { invoke } from "../../src/cni/invoke.ts";
import type { Result } from "../../src/cni/result.ts";
import type { Verb } from "../../src/cni/version.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { type LogEntry, loggerTo } from "../../src/log/logger.ts";
import { Netns } from "../../src/netns/netns.ts";
import { NetnsRef } from "../../src/netns/ref.ts";
import { builtin } from "../../src/plugins/table.ts";
import { encodeResult } from "../../src/cni/result-encode.ts";
import type { PinnedNetns } from "./node-netns.ts";

export interface BuiltinCall {
  readonly verb: Verb;
  readonly config: JsonObject & { readonly type: string };
  /** The pod, or what CNI_NETNS would say. */
  readonly pod: PinnedNetns | string;
  /** net1 when undefined. */
  readonly ifName?: string;
  readonly containerId?: string;
  /** CNI_ARGS. */
  readonly args?: string;
  /** The result of ADD, for CHECK and DEL. */
  readonly prevResult?: Result;
}

/** A process that lives on the node; `using` closes its descriptors. */
export class BuiltinCaller implements Disposable {
  readonly log: LogEntry[] = [];
  readonly #runtime: Runtime;
  readonly #host: Netns;

  /** `plugins` are found before those that are built in: IPAM plugins that a test scripts. */
  constructor(node: PinnedNetns, plugins: readonly Plugin[] = []) {
    this.#host = Netns.open(node.path);
    this.#runtime = {
      builtin: (type) => {
        const scripted = plugins.find(({ name }) => name === type);
        return scripted === undefined ? builtin(type) : Promise.resolve(scripted);
      },
      execPlugins: new Set(),
      host: this.#host,
      log: loggerTo("debug", (entry) => this.log.push(entry)),
      delegateTimeoutMs: 20_000,
      environment: {},
    };
  }

  /** Carries the call out. ADD returns its result, any other verb undefined; throws the plugin's `CniError`. */
  async call({ verb, config, pod, ifName, containerId, args, prevResult }: BuiltinCall): Promise<Result | undefined> {
    using netns = new NetnsRef(typeof pod === "string" ? pod : pod.path);
    const cniVersion = "1.1.0";
    const prev = prevResult === undefined ? {} : { prevResult: encodeResult(prevResult, cniVersion) };
    return await invoke(this.#runtime, {
      verb,
      type: config.type,
      config: { cniVersion, name: "net", ...config, ...prev },
      containerId: containerId ?? "ctr0",
      ifName: ifName ?? "net1",
      netns,
      args: args ?? "",
      path: [],
    });
  }

  /** As `call` with ADD. */
  async add(call: Omit<BuiltinCall, "verb">): Promise<Result> {
    const result = await this.call({ ...call, verb: "ADD" });
    if (result === undefined) throw new Error("ADD gave no result");
    return result;
  }

  [Symbol.dispose](): void {
    this.#host[Symbol.dispose]();
  }
}
