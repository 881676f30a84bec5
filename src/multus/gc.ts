import { noArgs } from "../cni/args.ts";
import { gcList } from "../cni/chain.ts";
import { CniError } from "../cni/error.ts";
import type { NetworkList } from "../cni/network-list.ts";
import type { AttachmentCall, GcCall } from "../cni/plugin.ts";
import { readDirectoryIfExists } from "../libc/file.ts";
import { NetnsRef } from "../netns/ref.ts";
import { type MultusConf, salvageConf } from "./config.ts";
import { deleteEntries } from "./detach.ts";
import { journaledContainers, type JournalEntry, readJournal, removeJournal } from "./journal.ts";
import { ContainerLock } from "./lock.ts";
import { makePlan } from "./plan.ts";
import { cachedEntries } from "./rescue.ts";
import { openCluster, openSession, type Session } from "./session.ts";
import { networkSources } from "./sources.ts";

/** CNI_IFNAME is not part of GC; it only names the default interface of an entry that Multus wrote. */
const defaultIfName = "eth0";

/**
 * Collects what is left of containers that the runtime no longer lists: their attachments get DEL, on all networks; then every network
 * that is known here (the node's own, and those of all journals) gets GC with the attachments that are still valid. Goes on after
 * errors and reports them together at the end.
 */
export async function gc(call: GcCall<MultusConf>): Promise<void> {
  const session = openSession(call, call.config ?? salvageConf(call.conf.raw));
  const validContainers = new Set(call.valid.map(({ containerId }) => containerId));
  const known = knownContainers(session);
  const living = known
    .filter((containerId) => validContainers.has(containerId))
    .map((containerId) => ({ containerId, entries: entriesOf(session, containerId) }));
  const usedNetns = new Set(living.flatMap(({ entries }) => entries.map(({ netns }) => netns)));
  const failures: CniError[] = [];
  const nodeNetworks = await nodeLists(session, failures);
  const podNetworks = living.flatMap(({ entries }) =>
    entries.filter(({ isDefault }) => !isDefault).map(({ list }) => list),
  );
  for (const containerId of known.filter((id) => !validContainers.has(id))) {
    const entries = entriesOf(session, containerId);
    podNetworks.push(...entries.filter(({ isDefault }) => !isDefault).map(({ list }) => list));
    failures.push(...(await collectContainer(session, call, containerId, entries, usedNetns)));
  }
  const attachments = living.flatMap(({ containerId, entries }) =>
    entries.map(({ list, ifName }) => ({ network: list.name, containerId, ifName })),
  );
  const [defaultNetwork] = nodeNetworks;
  // The runtime's own list speaks of the default network, also for containers that were attached before polynic kept a journal here.
  for (const { containerId, ifName } of call.valid)
    if (defaultNetwork !== undefined) attachments.push({ network: defaultNetwork.name, containerId, ifName });
  const unknown = call.valid.filter(({ containerId }) => !known.includes(containerId));
  if (unknown.length > 0)
    session.log.verbose(`GC leaves the pods' networks alone: nothing is known of ${unknown.length} living containers`);
  for (const list of distinct([
    ...nodeNetworks.slice(0, unknown.length > 0 ? 1 : undefined),
    ...(unknown.length > 0 ? [] : podNetworks),
  ])) {
    const valid = attachments.filter(({ network }) => network === list.name);
    await gcList(session.runtime, list, session.path, valid).catch((error: unknown) =>
      failures.push(CniError.from(error).within(`network "${list.name}": `)),
    );
  }
  const [first] = failures;
  if (first !== undefined)
    throw new CniError(first.code, `Multus: GC: ${failures.map(({ message }) => message).join(" / ")}`, first.details);
}

/** Containers with a journal, a cached result or a lock that somebody who was killed left. */
function knownContainers({ conf, log }: Session): string[] {
  const { cniDir } = conf;
  const cached = cachedEntries(cniDir, log).map(({ containerId }) => containerId);
  const locked = readDirectoryIfExists(`${cniDir}/locks`).map(({ name }) => name);
  return [...new Set([...journaledContainers(cniDir), ...cached, ...locked])].sort();
}

function entriesOf({ conf, log }: Session, containerId: string): readonly JournalEntry[] {
  const state = readJournal(conf.cniDir, containerId, defaultIfName);
  return state.kind === "present"
    ? state.entries
    : cachedEntries(conf.cniDir, log, containerId).map(({ entry }) => entry);
}

/**
 * DEL for everything of one container that is gone. Its namespace is only entered when no living container has one at the same path: a
 * path that was used again must not lose the new container's links.
 */
async function collectContainer(
  session: Session,
  call: GcCall<MultusConf>,
  containerId: string,
  entries: readonly JournalEntry[],
  usedNetns: ReadonlySet<string>,
): Promise<CniError[]> {
  using _lock = await ContainerLock.take(session.conf.cniDir, containerId);
  const path = entries.find(({ netns }) => netns !== "")?.netns ?? "";
  using netns = new NetnsRef(usedNetns.has(path) ? "" : path);
  const attachment: AttachmentCall = { ...call, containerId, ifName: defaultIfName, args: noArgs, netns };
  const failures = await deleteEntries(session, attachment, entries);
  if (failures.length === 0) removeJournal(session.conf.cniDir, containerId);
  return failures.map((failure) => failure.within(`container ${containerId}: `));
}

/** The networks that the node's own config names; that they can't be read now must not keep the rest from being collected. */
async function nodeLists(session: Session, failures: CniError[]): Promise<NetworkList[]> {
  const { conf, log } = session;
  try {
    const sources = await networkSources({ conf, cluster: await openCluster(conf), pod: undefined, log });
    return makePlan({ ifName: defaultIfName, args: noArgs, runtimeConfig: {}, sources }).attachments.map(
      ({ list }) => list,
    );
  } catch (error) {
    failures.push(CniError.from(error));
    return [];
  }
}

/** One of each config: networks of one name may differ in what they name. */
function distinct(lists: readonly NetworkList[]): NetworkList[] {
  return [...new Map(lists.map((list) => [list.text, list])).values()];
}
