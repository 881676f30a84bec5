import { type Cluster, isClusterError, type Pod, type PodIdentity } from "../cluster/port.ts";
import { CniError } from "../cni/error.ts";
import type { Result } from "../cni/result.ts";
import { formatPrefix } from "../ip/prefix.ts";
import type { Attached } from "./default-route.ts";
import { readDeviceInfo } from "./device-info.ts";
import { DispatchError, fromCluster } from "./dispatch-error.ts";
import { formatNetworkStatus, type NetworkStatus, networkStatuses } from "./network-status.ts";
import type { Attachment } from "./attachment.ts";
import type { PlanWarning } from "./plan-rules.ts";
import { isSamePod, openCluster, type Session } from "./session.ts";

/** Whom an ADD is about, as far as it has found out. */
export interface Subject {
  readonly identity: PodIdentity | undefined;
  cluster?: Cluster | undefined;
  pod?: Pod | undefined;
}

/** Logs what the pod's author should know, and queues an event for each; they are delivered with the outcome of the ADD. */
export function warn({ log }: Session, { cluster, pod }: Subject, warnings: readonly PlanWarning[]): void {
  for (const { reason, message } of warnings) {
    log.error(message);
    if (cluster !== undefined && pod !== undefined) cluster.emit(pod, { type: "Warning", reason, message });
  }
}

/**
 * Writes the pod's network-status, and an event for each network that gave it an interface or an address; the events come when the call is over
 * where the process goes on then (`Runtime.afterwards`). Throws `DispatchError` when the status can't be written: consumers would not find the
 * pod's networks. What may have been written although no answer came is taken back then. An event that can't be delivered is only logged.
 */
export async function reportSuccess(
  session: Session,
  { cluster, pod }: Subject,
  attached: readonly Attached[],
): Promise<void> {
  if (cluster === undefined || pod === undefined) return;
  const statuses: NetworkStatus[] = [];
  for (const { attachment, result } of attached) {
    if (attachment.isAuxiliary) continue;
    const deviceInfo = readDeviceInfo(attachment, session.log);
    statuses.push(...networkStatuses(attachment.name, attachment.isDefault, result, deviceInfo));
  }
  // On its way first: the ADD waits for it longest, and events are made while it is.
  const written = cluster.setNetworkStatus(pod, formatNetworkStatus(statuses));
  const { afterwards } = session.runtime;
  if (afterwards === undefined) emitAdded(cluster, pod, attached);
  try {
    await written;
  } catch (error) {
    const isUncertain = isClusterError(error, "unavailable");
    await Promise.all([deliver(session, cluster), isUncertain ? retractStatus(session, { cluster, pod }) : undefined]);
    const failure = fromCluster(error);
    throw new DispatchError("FailedToReport", `error setting the networks status: ${failure.message}`, {
      cause: error,
      code: failure.code,
    });
  }
  if (afterwards === undefined) return await deliver(session, cluster);
  afterwards(async () => {
    emitAdded(cluster, pod, attached);
    await deliver(session, cluster);
  });
}

/**
 * Removes the network-status after all: what it tells of is being taken back. Never throws: whoever takes back has a failure to report already,
 * and the next ADD of the pod writes the annotation anew.
 */
export async function retractStatus(
  { log }: Session,
  { cluster, pod }: Pick<Subject, "cluster" | "pod">,
): Promise<void> {
  if (cluster === undefined || pod === undefined) return;
  try {
    await cluster.setNetworkStatus(pod, undefined);
  } catch (error) {
    log.error(`the pod's network-status may tell of what was taken back: ${CniError.from(error).text}`);
  }
}

/**
 * Tells the pod why its networks could not be attached. Where the failure came before the pod was looked up, that is made up for: the pod's
 * author should not have to read the node's log. Never throws: the failure itself is what the runtime must hear of.
 */
export async function reportFailure(session: Session, subject: Subject, error: unknown): Promise<void> {
  try {
    const isLookedUp = subject.cluster !== undefined;
    const cluster = subject.cluster ?? (await openCluster(session));
    const pod = isLookedUp ? subject.pod : await lookUp(cluster, subject.identity);
    if (cluster === undefined || pod === undefined) return;
    const reason = error instanceof DispatchError ? error.reason : "FailedToAttach";
    cluster.emit(pod, { type: "Warning", reason, message: CniError.from(error).text });
    await deliver(session, cluster);
  } catch (failure) {
    session.log.error(`no event tells of this failure: ${CniError.from(failure).text}`);
  }
}

async function lookUp(cluster: Cluster | undefined, identity: PodIdentity | undefined): Promise<Pod | undefined> {
  if (cluster === undefined || identity === undefined) return undefined;
  const pod = await cluster.getPod(identity.namespace, identity.name);
  return pod !== undefined && isSamePod(identity, pod) ? pod : undefined;
}

async function deliver({ log }: Session, cluster: Cluster): Promise<void> {
  try {
    await cluster.flush();
  } catch (error) {
    log.error(`an event was not delivered: ${CniError.from(error).text}`);
  }
}

function emitAdded(cluster: Cluster, pod: Pod, attached: readonly Attached[]): void {
  for (const { attachment, result } of attached) {
    if (result.interfaces.length + result.ips.length === 0) continue;
    cluster.emit(pod, { type: "Normal", reason: "AddedInterface", message: addedText(attachment, result) });
  }
}

function addedText(attachment: Attachment, result: Result): string {
  const addresses: string[] = [];
  for (const { address } of result.ips) addresses.push(formatPrefix(address));
  return `Add ${attachment.ifName} [${addresses.join(" ")}]${attachment.name === "" ? "" : ` from ${attachment.name}`}`;
}
