import type { UndoScope } from "../undo/undo.ts";
import { CniError, code, NotBegunError } from "./error.ts";
import type { Invocation } from "./invoke.ts";
import type { Ipam } from "./ipam.ts";
import type { NetConf } from "./net-conf.ts";
import type { Runtime } from "./plugin.ts";
import { emptyResult, type Result, type ResultIp } from "./result.ts";
import { withValidAttachments } from "./valid-attachments.ts";
import type { Verb } from "./version.ts";

/** How a plugin is called, built in or foreign; `invoke` of invoke.ts, handed down so that no file imports in a circle. */
export type Invoke = (runtime: Runtime, invocation: Invocation) => Promise<Result | undefined>;

/**
 * The IPAM side of the call `invocation`, whose parsed config is `conf`: each verb calls the plugin `ipam.type` with the whole config
 * and the same container, namespace and interface name (spec "Delegated plugins"). Throws `CniError` code 7 for a plugin that is built in and no IPAM plugin.
 */
export async function delegateIpam(
  runtime: Runtime,
  invocation: Invocation,
  conf: NetConf,
  invoke: Invoke,
): Promise<Ipam> {
  const type = conf.ipamType;
  if (type === "") return noIpam;
  const plugin = await runtime.builtin(type);
  if (plugin !== undefined && plugin.isIpam !== true) return refusal(runtime, invocation.verb, type);
  const call = (verb: Verb) => invoke(runtime, { ...invocation, verb, type });
  return {
    type,
    async add(undo: UndoScope): Promise<Result> {
      let hasBegun = true;
      undo.push(`addresses of ${type}`, async () => {
        if (hasBegun) await call("DEL");
      });
      try {
        return withoutInterfaces(await call("ADD"), type);
      } catch (error) {
        hasBegun = !(error instanceof NotBegunError);
        throw error;
      }
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

/**
 * macvlan as macvlan's own IPAM would be called by itself without end. No ADD has got past this, so that DEL and GC find nothing to do.
 */
function refusal({ log }: Runtime, verb: Verb, type: string): Ipam {
  const error = notIpam(type);
  if (verb !== "DEL" && verb !== "GC") throw error;
  log.error(`${verb} goes on without IPAM: ${error.message}`);
  return noIpam;
}

/** The refusal of a built-in plugin as IPAM plugin that is none: code 7. */
export function notIpam(type: string): NotBegunError {
  const message = `$.ipam.type: ${type} gives out no addresses: expected an IPAM plugin such as host-local or static`;
  return new NotBegunError(code.invalidConfig, message);
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
  const ips: ResultIp[] = [];
  for (const { address, gateway } of result.ips) ips.push(gateway === undefined ? { address } : { address, gateway });
  return { ...result, interfaces: [], ips };
}

async function none(result: Promise<unknown>): Promise<void> {
  await result;
}
