import { deliverEvent } from "../cluster/api-event.ts";
import type { Pools } from "../cluster/pools/port.ts";
import type { Pod } from "../cluster/port.ts";
import { ClusterError } from "../cluster/port.ts";
import type { KubeClient } from "../kube/client.ts";
import { isForbidden, KubeError } from "../kube/error.ts";
import { lead, type LeaderTimes } from "../kube/leader.ts";
import type { Logger } from "../log/logger.ts";
import { collect } from "./collector.ts";
import { Indexer } from "./indexer.ts";
import { Restorer } from "./restorer.ts";
import { onSchedule } from "./schedule.ts";
import { Scans } from "./scans.ts";
import { Slicer } from "./slicer.ts";
import { ApiSurveyor } from "./survey.ts";
import type { Suspect } from "./verdict.ts";

export interface IpamControllerOptions {
  readonly pools: Pools;
  /** That of the pools, and of the Lease. */
  readonly namespace: string;
  /** "<host>-<random>": unique for this process. */
  readonly identity: string;
  /** When leaked addresses are looked for, see `onSchedule`. */
  readonly schedule: () => string;
  /** How far apart the two scans are that have to agree. */
  readonly confirmAfterMs: number;
  /** Leaked addresses are told of and not released. */
  readonly isDryRun: boolean;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly leaderTimes?: LeaderTimes;
}

/** Of the Lease that controllers compete for. */
export const leaseName = "polynic-ipam";
/** What Go's events of the kind say. */
const releasedReason = "IPAddressGarbageCollected";
const component = "polynic-ipam";

/** Keeps a cluster's pools in order whenever this process is the leader, until the signal is aborted. Rejects with trouble that waiting does not cure. */
export async function runIpamController(client: KubeClient, options: IpamControllerOptions): Promise<void> {
  const { namespace, identity, signal, log, leaderTimes } = options;
  const times = leaderTimes === undefined ? {} : { times: leaderTimes };
  await lead(client, { namespace, name: leaseName, identity, signal, log, ...times }, async (leading) => {
    // One that fails takes the others with it: a controller that does half of its work looks healthy and is not.
    const stop = new AbortController();
    const both = { ...options, signal: AbortSignal.any([leading, stop.signal]) };
    const slicer = new Slicer(client, both);
    const surveyor = new ApiSurveyor(client, options.pools);
    const indexer = new Indexer(client, { ...both, restorer: new Restorer(client, { ...both, surveyor }) });
    const parts = [indexer.run(), runSlicer(slicer, both), runCollector(client, both)];
    try {
      await Promise.all(parts);
    } finally {
      stop.abort();
      await Promise.allSettled(parts);
    }
  });
}

/**
 * Looks for leaked addresses on schedule, elected or not: where the credentials do not allow a Lease (whereabouts' own roles), several
 * collectors do no harm, since each removes under conditions only.
 */
export async function runCollector(client: KubeClient, options: IpamControllerOptions): Promise<void> {
  const { pools, schedule, confirmAfterMs, isDryRun, signal, log } = options;
  const surveyor = new ApiSurveyor(client, pools);
  const scans = new Scans(confirmAfterMs);
  const onRelease = (suspect: Suspect): void => tellEvent(client, suspect, log);
  await onSchedule({ expression: schedule, signal, log }, async () => {
    try {
      await collect({ surveyor, pools, scans, isDryRun, log, onRelease });
    } catch (error) {
      if (!(error instanceof KubeError) && !(error instanceof ClusterError)) throw error;
      log.error(`gc: nothing was looked at: ${error.message}`);
    }
  });
}

/** Without the right to read nodes and networks, as in GKE's manifest, no network can have slices. */
async function runSlicer(slicer: Slicer, { log }: IpamControllerOptions): Promise<void> {
  try {
    await slicer.run();
  } catch (error) {
    if (!isForbidden(error)) throw error;
    log.error(`${error.message}; no ranges are divided among nodes`);
  }
}

/** An event about the pod that held the address, gone or not; not waited for, and worth no more than a line when it can't be delivered. */
function tellEvent(client: KubeClient, { holding, reason }: Suspect, log: Logger): void {
  const [namespace = "", name = ""] = holding.podref.split("/");
  const pod: Pod = { namespace, name, uid: holding.podUid, annotations: {}, isStatic: false, nodeName: holding.node };
  const message = `released address ${holding.address}: ${reason}`;
  deliverEvent(client, pod, { type: "Normal", reason: releasedReason, message }, component).catch((error: unknown) => {
    if (!isForbidden(error)) log.verbose(`an event was not delivered: ${String(error)}`);
  });
}
