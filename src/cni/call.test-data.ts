import { parsePrefix } from "../ip/prefix.ts";
import { type LogEntry, loggerTo } from "../log/logger.ts";
import { Netns } from "../netns/netns.ts";
import { NetnsRef } from "../netns/ref.ts";
import type { Invocation } from "./invoke.ts";
import type { AddCall, CheckCall, DelCall, GcCall, Plugin, StatusCall, Runtime } from "./plugin.ts";
import { emptyResult, type Result } from "./result.ts";

/** What reaches a plugin's verb, whichever it is. */
export type AnyCall = AddCall<unknown> | DelCall<unknown> | CheckCall<unknown> | StatusCall<unknown> | GcCall<unknown>;

export const prefix = parsePrefix("10.1.2.3/24")!;

/** A result with one link in the pod and one address on it. */
export const oneAddress: Result = {
  ...emptyResult,
  interfaces: [{ name: "net1", sandbox: "/run/netns/gone" }],
  ips: [{ address: prefix, interface: 0 }],
};

export interface Recorded {
  readonly verb: string;
  readonly call: AnyCall;
}

/** A plugin that records its calls in `seen` and answers ADD with `oneAddress`; `changes` replaces members. */
export function recorder(name: string, seen: Recorded[], changes: Partial<Plugin> = {}): Plugin {
  const record = (verb: string) => (call: AnyCall) => {
    seen.push({ verb, call });
  };
  return {
    name,
    isIpam: true,
    parse: (conf) => conf.raw["mtu"],
    add: (call) => {
      seen.push({ verb: "ADD", call });
      return oneAddress;
    },
    del: record("DEL"),
    check: record("CHECK"),
    status: record("STATUS"),
    gc: record("GC"),
    ...changes,
  };
}

export interface TestRuntime extends Runtime, Disposable {
  readonly entries: LogEntry[];
}

/** A runtime with these built-in plugins, and the lines that were logged; `using` closes its namespace. */
export function testRuntime(plugins: readonly Plugin[], changes: Partial<Runtime> = {}): TestRuntime {
  const entries: LogEntry[] = [];
  const host = Netns.current();
  return {
    builtin: (type) => {
      const found = plugins.find(({ name }) => name === type);
      return found && Promise.resolve(found);
    },
    builtinNames: () => plugins.map(({ name }) => name),
    execPlugins: new Set(),
    host,
    log: loggerTo("debug", (entry) => entries.push(entry)),
    delegateTimeoutMs: 20_000,
    environment: {},
    entries,
    ...changes,
    [Symbol.dispose]: () => host[Symbol.dispose](),
  };
}

/** An ADD of `type` for a container whose namespace does not exist; `changes` replaces members. */
export function invocation(type: string, changes: Partial<Invocation> = {}): Invocation {
  return {
    verb: "ADD",
    type,
    config: { cniVersion: "1.1.0", name: "net", type },
    containerId: "c1",
    ifName: "net1",
    netns: new NetnsRef("/run/netns/gone"),
    args: "",
    path: [],
    ...changes,
  };
}
