import type { Cluster, Pod } from "../cluster/port.ts";
import { addCached } from "../cni/cached-chain.ts";
import { code, CniError } from "../cni/error.ts";
import { asVersion, impliedVersion } from "../cni/version.ts";
import type { AddCall } from "../cni/plugin.ts";
import { emptyResult, type Result } from "../cni/result.ts";
import { formatPrefix } from "../ip/prefix.ts";
import { getLink } from "../rtnl/link.ts";
import type { MultusConf } from "./config.ts";
import { type Attached, settleDefaultRoutes } from "./default-route.ts";
import { deleteAttachment } from "./detach.ts";
import { delegateCall } from "./delegate-call.ts";
import { DispatchError, type FailureReason } from "./dispatch-error.ts";
import { removeJournal, writeJournal } from "./journal.ts";
import { ContainerLock } from "./lock.ts";
import { formatNetworkStatus, networkStatuses } from "./network-status.ts";
import { type Attachment, makePlan } from "./plan.ts";
import { waitForReadiness } from "./readiness.ts";
import { findPod, openCluster, openSession, podIdentity, podLabel, type Session } from "./session.ts";
import { networkSources } from "./sources.ts";

/**
 * Attaches all networks of a pod, one after the other (NPWG spec 7.3), and reports them. Returns the default network's result. Whatever
 * fails, everything that was attached is taken back, the journal with it, and the pod gets a Warning event with the reason.
 */
export async function add(call: AddCall<MultusConf>): Promise<Result> {
  const session = openSession(call, call.config);
  const identity = podIdentity(call.args);
  await waitForReadiness(session.conf.readinessIndicatorFile, session.log);
  using _lock = await ContainerLock.take(session.conf.cniDir, call.containerId);
  let cluster: Cluster | undefined;
  let pod: Pod | undefined;
  try {
    cluster = await openCluster(session.conf);
    pod = await findPod(cluster, identity);
    const sources = await networkSources({ conf: session.conf, cluster, pod, log: session.log });
    const plan = makePlan({ ifName: call.ifName, args: call.args, runtimeConfig: session.conf.runtimeConfig, sources });
    const attached = await attachAll(session, call, plan.attachments);
    await report(attached, cluster, pod);
    return attached[0]?.result ?? emptyResult;
  } catch (error) {
    const failure = CniError.from(error).within(`Multus: ${podLabel(identity)}`);
    session.log.error(failure.message);
    await reportFailure(session, cluster, pod, error);
    throw failure;
  }
}

async function attachAll(
  session: Session,
  call: AddCall<MultusConf>,
  attachments: readonly Attachment[],
): Promise<Attached[]> {
  const { cniDir } = session.conf;
  writeJournal(cniDir, call.containerId, call.netns.path, attachments);
  call.undo.push("journal", () => removeJournal(cniDir, call.containerId));
  const attached: Attached[] = [];
  for (const attachment of attachments) attached.push({ attachment, result: await attach(session, call, attachment) });
  return settleDefaultRoutes(call.netns.open(), attached).map((settled, index) => {
    if (settled.result !== attached[index]?.result) remember(session, call, settled);
    return settled;
  });
}

/** CHECK and DEL must be told what the kernel has now, not what the plugins made first. */
function remember({ cache }: Session, { containerId }: AddCall<MultusConf>, { attachment, result }: Attached): void {
  const { list, ifName } = attachment;
  const cached = cache.read({ networkName: list.name, containerId, ifName });
  if (cached !== undefined) cache.write({ ...cached, result }, asVersion(list.cniVersion) ?? impliedVersion);
}

async function attach(session: Session, call: AddCall<MultusConf>, attachment: Attachment): Promise<Result> {
  const where = `error adding container to network "${attachment.name}" (interface ${attachment.ifName}, ${attachment.origin}): `;
  try {
    refuseTakenName(call, attachment);
    const result = await addCached(
      session.runtime,
      session.cache,
      attachment.list,
      delegateCall(session, call, attachment),
    );
    call.undo.push(`attachment to ${attachment.name}`, () =>
      deleteAttachment(session, call, { ...attachment, netns: call.netns.path }),
    );
    session.log.verbose(`Add: ${attachment.name} ${attachment.ifName}`, { container: call.containerId });
    return result;
  } catch (error) {
    throw CniError.from(error).within(where);
  }
}

function refuseTakenName(call: AddCall<MultusConf>, { ifName }: Attachment): void {
  if (getLink(call.netns.open().rtnl, ifName) === undefined) return;
  throw new CniError(
    code.invalidEnvironment,
    `interface name ${ifName} already exists in ${call.netns.path}`,
    "an earlier ADD was not followed by DEL, or two networks ask for the same name",
  );
}

async function report(
  attached: readonly Attached[],
  cluster: Cluster | undefined,
  pod: Pod | undefined,
): Promise<void> {
  if (cluster === undefined || pod === undefined) return;
  for (const { attachment, result } of attached) {
    if (result.interfaces.length + result.ips.length === 0) continue;
    cluster.emit(pod, { type: "Normal", reason: "AddedInterface", message: addedText(attachment, result) });
  }
  const statuses = attached.flatMap(({ attachment, result }) =>
    networkStatuses(attachment.name, attachment.isDefault, result),
  );
  try {
    await Promise.all([cluster.setNetworkStatus(pod, formatNetworkStatus(statuses)), cluster.flush()]);
  } catch (error) {
    throw new DispatchError(
      "FailedToReport",
      `error setting the networks status: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

function addedText(attachment: Attachment, result: Result): string {
  const addresses = result.ips.map(({ address }) => formatPrefix(address)).join(" ");
  return `Add ${attachment.ifName} [${addresses}]${attachment.name === "" ? "" : ` from ${attachment.name}`}`;
}

/** The event must not hide why the ADD failed, so that it could not be delivered is only logged. */
async function reportFailure(
  { log }: Session,
  cluster: Cluster | undefined,
  pod: Pod | undefined,
  error: unknown,
): Promise<void> {
  if (cluster === undefined || pod === undefined) return;
  const reason: FailureReason = error instanceof DispatchError ? error.reason : "FailedToAttach";
  cluster.emit(pod, { type: "Warning", reason, message: CniError.from(error).message });
  try {
    await cluster.flush();
  } catch (failure) {
    log.error(
      `the event about this failure was not delivered: ${failure instanceof Error ? failure.message : String(failure)}`,
    );
  }
}
