import type { Cluster, Pod } from "../cluster/port.ts";
import { addCached } from "../cni/cached-chain.ts";
import { code, CniError, HalfUndoneError } from "../cni/error.ts";
import { findPlugin } from "../cni/find-plugin.ts";
import { ipamTypeOf } from "../cni/network-list.ts";
import type { AddCall } from "../cni/plugin.ts";
import { emptyResult, type Result } from "../cni/result.ts";
import { asVersion, impliedVersion } from "../cni/version.ts";
import { getLink } from "../rtnl/link.ts";
import type { MultusConf } from "./config.ts";
import { type Attached, settleDefaultRoutes } from "./default-route.ts";
import { delegateCall } from "./delegate-call.ts";
import { deleteEntries } from "./detach.ts";
import { type JournalEntry, readJournal, removeJournal, writeJournal } from "./journal.ts";
import { ContainerLock } from "./lock.ts";
import type { Attachment } from "./attachment.ts";
import { makePlan, type Plan } from "./plan.ts";
import { makeReady } from "./make-ready.ts";
import { podDevices } from "./devices.ts";
import { provideDeviceInfo, removeDeviceInfo } from "./device-info.ts";
import { reportSuccess, retractStatus, type Subject, warn } from "./report.ts";
import { cachedEntries } from "./rescue.ts";
import { type Session, underLock } from "./session.ts";
import { clearSettled, markSettled } from "../cni/settled.ts";
import { networkSources } from "./sources.ts";

/** A question that is on its way: who the pod is, and the store that was asked. */
export interface PodQuestion {
  readonly cluster: Cluster | undefined;
  readonly lookup: Promise<Pod | undefined>;
}

/** The part of `add` that comes once the container's lock is held and the pod asked for; tells `subject` what it finds out. */
export async function attachNetworks(
  session: Session,
  call: AddCall<MultusConf>,
  subject: Subject,
  question: PodQuestion,
): Promise<Result> {
  await clearEarlier(session, call);
  const attachments = await prepare(session, call, subject, question);
  return await attachAll(withPod(session, subject), call, attachments, subject);
}

/** Plugins that look at the pod's annotations need not ask for the pod again. */
function withPod(session: Session, { pod }: Subject): Session {
  if (pod === undefined) return session;
  return { ...session, runtime: { ...session.runtime, podAnnotations: pod.annotations } };
}

/**
 * What an earlier ADD of this container has left is taken back first: it was killed, or the namespace was made anew without a DEL. While
 * the container still has one of its interfaces the ADD is refused, and the earlier one stays as it is (Multus tears it down).
 */
async function clearEarlier(session: Session, call: AddCall<MultusConf>): Promise<void> {
  const { cniDir } = session.conf;
  const state = readJournal(cniDir, call.containerId, call.ifName);
  if (state.kind === "absent") return;
  const entries =
    state.kind === "present"
      ? state.entries
      : cachedEntries(cniDir, session.log, call.containerId).map(({ entry }) => entry);
  for (const { ifName } of entries) refuseTakenName(call, ifName);
  session.log.error(`container ${call.containerId} was attached before without a DEL: what is left of that goes first`);
  const [failure] = await deleteEntries(session, call, entries);
  if (failure !== undefined) throw failure.error.within("an earlier ADD of this container can't be taken back: ");
  removeJournal(cniDir, call.containerId);
}

/**
 * Everything that is found out before anything is attached: what there is to attach, each with its plugins at hand. When it fails, the
 * runtime's DEL will find noted that there is nothing to look for.
 */
async function prepare(
  session: Session,
  call: AddCall<MultusConf>,
  subject: Subject,
  { cluster, lookup }: PodQuestion,
): Promise<readonly Attachment[]> {
  try {
    subject.cluster = cluster;
    makeReady(session, call.netns.open());
    subject.pod = await lookup;
    const { attachments, warnings } = await planFor(session, call, subject);
    warn(session, subject, warnings);
    for (const attachment of attachments) await requirePlugins(session, attachment);
    return attachments;
  } catch (error) {
    markSettled(session.conf.cniDir, call.containerId, session.log);
    throw error;
  }
}

async function planFor({ conf, log }: Session, call: AddCall<MultusConf>, subject: Subject): Promise<Plan> {
  const { cluster, pod, identity } = subject;
  const sources = await networkSources({ conf, cluster, pod, log });
  const devices = await podDevices({ kubeletDir: conf.kubeletDir, sources, cluster, pod, identity, log });
  const { ifName, containerId, args } = call;
  const { runtimeConfig, missingCapability } = conf;
  return makePlan({ ifName, containerId, args, runtimeConfig, missingCapability, devices, sources });
}

async function attachAll(
  session: Session,
  call: AddCall<MultusConf>,
  attachments: readonly Attachment[],
  subject: Subject,
): Promise<Result> {
  clearSettled(session.conf.cniDir, call.containerId);
  const owner = { containerId: call.containerId, netns: call.netns.path, network: call.conf.name };
  const stored = writeJournal(session.conf.cniDir, owner, attachments, session.runtime.sync);
  const begun: JournalEntry[] = [];
  try {
    const made: Attached[] = [];
    for (const attachment of attachments) {
      const result = await attach(session, call, attachment, begun);
      made.push({ attachment, result });
    }
    const settled = settleDefaultRoutes(call.netns.open(), made);
    for (const [index, each] of settled.entries())
      if (each.result !== made[index]?.result) remember(session, call, each);
    await stored;
    await reportSuccess(session, subject, settled);
    // The caller still has to hand the result over; when it can't, there is no lock any more.
    call.undo.push("all attachments", async () => {
      using lock = await ContainerLock.take(session.conf.cniDir, call.containerId, session.isNested);
      await Promise.all([takeBack(underLock(session, lock), call, begun), retractStatus(session, subject)]);
    });
    return settled[0]?.result ?? emptyResult;
  } catch (error) {
    await takeBack(session, call, begun);
    throw error;
  }
}

/** One attachment. `begun` collects those of which something may be in place, this one too unless its own chain has taken it back. */
async function attach(
  session: Session,
  call: AddCall<MultusConf>,
  attachment: Attachment,
  begun: JournalEntry[],
): Promise<Result> {
  const { name, ifName, list } = attachment;
  const entry = { ...attachment, netns: call.netns.path };
  try {
    refuseTakenName(call, ifName);
    provideDeviceInfo(attachment, session.log);
    const result = await addCached(session.runtime, session.cache, list, delegateCall(session, call, entry));
    begun.push(entry);
    session.log.verbose(`Add: ${name} ${ifName}`, { container: call.containerId });
    return result;
  } catch (error) {
    if (error instanceof HalfUndoneError) begun.push(entry);
    else removeDeviceInfo(entry, call.containerId, session.log);
    throw failed(attachment, error);
  }
}

/**
 * Foreign plugins are looked for before anything is journaled: of one that is not there not even DEL could be called. The IPAM plugin of a
 * foreign plugin is that plugin's own business.
 */
async function requirePlugins({ runtime, path }: Session, attachment: Attachment): Promise<void> {
  const isBuiltIn = async (type: string) =>
    !runtime.execPlugins.has(type) && (await runtime.builtin(type)) !== undefined;
  try {
    for (const { type, config } of attachment.list.plugins) {
      const ipam = (await isBuiltIn(type)) ? ipamTypeOf(config) : type;
      if (ipam !== "" && !(await isBuiltIn(ipam))) findPlugin(ipam, path, runtime.builtinNames());
    }
  } catch (error) {
    throw failed(attachment, error);
  }
}

/** Names the network and the interface, and where the config is from unless the name says it. */
function failed({ name, ifName, origin }: Attachment, error: unknown): CniError {
  const source = origin.endsWith(` ${name}`) ? "" : `, from ${origin}`;
  const where = `error adding container to network "${name}" (interface ${ifName}${source}): `;
  return CniError.from(error).within(where);
}

function refuseTakenName(call: AddCall<MultusConf>, ifName: string): void {
  if (getLink(call.netns.open().rtnl, ifName) === undefined) return;
  throw new CniError(
    code.internal,
    `interface name ${ifName} already exists in ${call.netns.path}`,
    "an earlier ADD was not followed by DEL, or another plugin made an interface of that name",
  );
}

/** In reverse order and to the end. The journal goes with the last attachment; what can't be freed keeps it for the runtime's DEL. */
async function takeBack(session: Session, call: AddCall<MultusConf>, begun: readonly JournalEntry[]): Promise<void> {
  const failures = await deleteEntries(session, call, begun);
  for (const { error } of failures) session.log.error(`taking back: ${error.text}; DEL will try again`);
  if (failures.length > 0) return;
  removeJournal(session.conf.cniDir, call.containerId);
  markSettled(session.conf.cniDir, call.containerId, session.log);
}

/** CHECK and DEL must be told what the kernel has now, not what the plugins made first. */
function remember({ cache }: Session, { containerId }: AddCall<MultusConf>, { attachment, result }: Attached): void {
  const { list, ifName } = attachment;
  const cached = cache.read({ networkName: list.name, containerId, ifName });
  if (cached !== undefined) cache.write({ ...cached, result }, asVersion(list.cniVersion) ?? impliedVersion);
}
