import { noArgs } from "../cni/args.ts";
import { statusList } from "../cni/chain.ts";
import { code, CniError } from "../cni/error.ts";
import type { StatusCall } from "../cni/plugin.ts";
import type { MultusConf } from "./config.ts";
import { ContainerLock } from "./lock.ts";
import { makePlan } from "./plan.ts";
import { requireReadiness } from "./readiness.ts";
import { openCluster, openSession } from "./session.ts";
import { networkSources } from "./sources.ts";

/** No container id begins with a dot. */
const probeName = ".status";

/**
 * Whether an ADD could be served now: the readiness file is there, cniDir can be written, the default network is found, and its own STATUS
 * says yes (its error code passes through). Answers at once; throws `CniError`, code 50 where waiting may help.
 */
export async function status(call: StatusCall<MultusConf>): Promise<void> {
  const session = openSession(call, call.config);
  const { conf, log } = session;
  try {
    requireReadiness(conf.readinessIndicatorFile);
    // Made and removed: that a directory is there does not say that its file system has room and may be written.
    ContainerLock.tryTake(conf.cniDir, probeName)?.[Symbol.dispose]();
    const sources = await networkSources({ conf, cluster: await openCluster(session), pod: undefined, log });
    const { attachments } = makePlan({
      ifName: "eth0",
      args: noArgs,
      runtimeConfig: {},
      missingCapability: "ignore",
      sources,
    });
    const [first] = attachments;
    if (first !== undefined) await statusList(session.runtime, first.list, session.path);
  } catch (error) {
    throw asStatus(CniError.from(error));
  }
}

/** The codes that ADD says "try again" with, in STATUS' words. */
function asStatus(error: CniError): CniError {
  if (error.code !== code.tryAgainLater && error.code !== code.io) return error;
  return new CniError(code.notAvailable, error.message, error.details, { cause: error });
}
