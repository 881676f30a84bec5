// Calls built-in plugins as functions of this process, as the dispatcher does, on a node of the kit.
import type { Plugin, Runtime } from "../../src/cni/plugin.ts";
import { type Attachment, addList, checkList, delList, gcList } from "../../src/cni/chain.ts";
import { invoke } from "../../src/cni/invoke.ts";
import type { ValidAttachment } from "../../src/cni/net-conf.ts";
import { type NetworkList, parseNetwork } from "../../src/cni/network-list.ts";
import type { Result } from "../../src/cni/result.ts";
import type { Verb } from "../../src/cni/version.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { type LogEntry, loggerTo } from "../../src/log/logger.ts";
import { Netns } from "../../src/netns/netns.ts";
import { NetnsRef } from "../../src/netns/ref.ts";
import { builtin, builtinNames } from "../../src/plugins/table.ts";
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

/** A chain of plugins on one attachment. */
export interface ChainCall extends Omit<BuiltinCall, "verb" | "config"> {
  readonly plugins: readonly (JsonObject & { readonly type: string })[];
  /** "net" when undefined. */
  readonly name?: string;
  /** 1.1.0 when undefined. */
  readonly cniVersion?: string;
  readonly capabilityArgs?: JsonObject;
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
      builtinNames,
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

  /** ADD along a chain; returns the last plugin's result. */
  async addChain(call: ChainCall): Promise<Result> {
    using netns = netnsOf(call);
    return await addList(this.#runtime, listOf(call), attachmentOf(call, netns));
  }

  /** CHECK along a chain with the result of its ADD. */
  async checkChain(call: ChainCall): Promise<void> {
    using netns = netnsOf(call);
    await checkList(this.#runtime, listOf(call), attachmentOf(call, netns), call.prevResult);
  }

  /** DEL along a chain; without `prevResult` as after a kill. */
  async delChain(call: ChainCall): Promise<void> {
    using netns = netnsOf(call);
    await delList(this.#runtime, listOf(call), attachmentOf(call, netns), call.prevResult);
  }

  /** GC along a chain. */
  async gcChain(call: Pick<ChainCall, "plugins" | "name">, valid: readonly ValidAttachment[]): Promise<void> {
    await gcList(this.#runtime, listOf(call), [], valid);
  }

  [Symbol.dispose](): void {
    this.#host[Symbol.dispose]();
  }
}

function listOf({ plugins, name, cniVersion }: Pick<ChainCall, "plugins" | "name" | "cniVersion">): NetworkList {
  return parseNetwork(JSON.stringify({ cniVersion: cniVersion ?? "1.1.0", name: name ?? "net", plugins }));
}

function netnsOf({ pod }: Pick<ChainCall, "pod">): NetnsRef {
  return new NetnsRef(typeof pod === "string" ? pod : pod.path);
}

function attachmentOf({ containerId, ifName, args, capabilityArgs }: ChainCall, netns: NetnsRef): Attachment {
  return {
    containerId: containerId ?? "ctr0",
    ifName: ifName ?? "net1",
    netns,
    args: args ?? "",
    path: [],
    capabilityArgs: capabilityArgs ?? {},
  };
}
