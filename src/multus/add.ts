import type { Pod } from "../cluster/port.ts";
import { CniError } from "../cni/error.ts";
import type { AddCall } from "../cni/plugin.ts";
import type { Result } from "../cni/result.ts";
import type { MultusConf } from "./config.ts";
import { ContainerLock } from "./lock.ts";
import { waitForReadiness } from "./readiness.ts";
import type { Subject } from "./report.ts";
import { findPod, openCluster, openSession, podLabel, requireIdentity, underLock } from "./session.ts";

/**
 * Attaches all networks of a pod, one after the other (NPWG spec 7.3), and reports them. Returns the default network's result. Whatever
 * fails, everything that was attached is taken back, the journal with it, and the pod gets a Warning event with the reason. What could
 * not be taken back stays in the journal for the runtime's DEL.
 */
export async function add(call: AddCall<MultusConf>): Promise<Result> {
  const session = openSession(call, call.config);
  const identity = requireIdentity(call.args);
  const subject: Subject = { identity };
  try {
    // Before anything is looked up: no network can be attached to a namespace that is not there.
    call.netns.open();
    await waitForReadiness(session.conf.readinessIndicatorFile, session.log);
    const cluster = await openCluster(session);
    const ask = (): Promise<Pod | undefined> => {
      const lookup = findPod(cluster, identity);
      // Should something else fail first, nobody would look at it any more.
      lookup.catch(() => {});
      return lookup;
    };
    // As early as can be: nothing else takes as long. Where the lock has to be waited for, the answer is too old by then.
    const early = ask();
    const free = ContainerLock.tryTake(session.conf.cniDir, call.containerId);
    using lock = free ?? (await ContainerLock.take(session.conf.cniDir, call.containerId, session.isNested));
    const lookup = free === undefined ? ask() : early;
    // Loaded while the question is on its way: that takes as long as an API server takes to answer.
    const { attachNetworks } = await import("./attach.ts");
    return await attachNetworks(underLock(session, lock), call, subject, { cluster, lookup });
  } catch (error) {
    const failure = CniError.from(error).within(`Multus: ${podLabel(identity)}`);
    session.log.error(failure.text);
    const { reportFailure } = await import("./report.ts");
    await reportFailure(session, subject, error);
    throw failure;
  }
}
