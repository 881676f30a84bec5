import type { UndoScope } from "../undo/undo.ts";
import { CniError, code } from "./error.ts";
import type { Invocation } from "./invoke.ts";
import type { Ipam } from "./ipam.ts";
import type { NetConf } from "./net-conf.ts";
import type { Runtime } from "./plugin.ts";
import { emptyResult, type Result } from "./result.ts";
import { withValidAttachments } from "./valid-attachments.ts";
import type { Verb } from "./version.ts";

/** How a plugin is called, built in or foreign; `invoke` of invoke.ts, handed down so that no file imports in a circle. */
export type Invoke = (runtime: Runtime, invocation: Invocation) => Promise<Result | undefined>;

/**
 * The IPAM side of the call `invocation`, whose parsed config is `conf`: each verb calls the plugin `ipam.type` with the whole config
 * and the same container, namespace and interface name (spec "Delegated plugins").
 */
export function delegateIpam(runtime: Runtime, invocation: Invocation, conf: NetConf, invoke: Invoke): Ipam {
  const type = conf.ipamType;
  if (type === "") return noIpam;
  const call = (verb: Verb) => invoke(runtime, { ...invocation, verb, type });
  return {
    type,
    async add(undo: UndoScope): Promise<Result> {
      undo.push(`addresses of ${type}`, async () => {
        await call("DEL");
      });
      return withoutInterfaces(await call("ADD"), type);
    },
    del: () => none(call("DEL")),
    check: () => none(call("CHECK")),
    status: () => none(call("STATUS")),
    gc: (valid) =>
      none(
        invoke(runtime, { ...invocation, verb: "GC", type, config: withValidAttachments(invocation.config, valid) }),
      ),
  };
}

const noIpam: Ipam = {
  type: "",
  add: () => Promise.resolve(emptyResult),
  del: () => Promise.resolve(),
  check: () => Promise.resolve(),
  status: () => Promise.resolve(),
  gc: () => Promise.resolve(),
};

/** Which interface an address goes to is the main plugin's business: an index that an IPAM plugin gave would point nowhere. */
function withoutInterfaces(result: Result | undefined, type: string): Result {
  if (result === undefined) throw new CniError(code.internal, `IPAM plugin ${type} gave no result`);
  const ips = result.ips.map(({ address, gateway }) => (gateway === undefined ? { address } : { address, gateway }));
  return { ...result, interfaces: [], ips };
}

async function none(result: Promise<unknown>): Promise<void> {
  await result;
}
