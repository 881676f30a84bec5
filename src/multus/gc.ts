import { noArgs } from "../cni/args.ts";
import { gcList, throwJoined } from "../cni/chain.ts";
import { CniError } from "../cni/error.ts";
import type { ValidAttachment } from "../cni/net-conf.ts";
import { forgetSettled } from "../cni/settled.ts";
import type { NetworkList } from "../cni/network-list.ts";
import type { AttachmentCall, GcCall } from "../cni/plugin.ts";
import { NetnsRef } from "../netns/ref.ts";
import { type MultusConf, salvageConf } from "./config.ts";
import { deleteEntries } from "./detach.ts";
import { removeDeviceInfoOf } from "./device-info.ts";
import { journaledContainers, type JournalEntry, readJournal, removeJournal } from "./journal.ts";
import { ContainerLock, lockedContainers } from "./lock.ts";
import { makePlan } from "./plan.ts";
import { cachedEntries } from "./rescue.ts";
import { openCluster, openSession, type Session, underLock } from "./session.ts";
import { networkSources } from "./sources.ts";

/** CNI_IFNAME is not part of GC; it only names the default interface of an entry that Multus wrote. */
const defaultIfName = "eth0";

/** A container that this node knows of, with what it is attached to. */
interface KnownContainer {
  readonly containerId: string;
  /** Attached through another network of the runtime: this GC's list does not speak of it. */
  readonly isForeign: boolean;
  readonly entries: readonly JournalEntry[];
}

/**
 * Collects what is left of containers that the runtime no longer lists: their attachments get DEL, on all networks; then every network
 * that is known here (the node's own, and those of all journals) gets GC with the attachments that are still valid. Goes on after
 * errors and reports them together at the end.
 */
export async function gc(call: GcCall<MultusConf>): Promise<void> {
  const session = openSession(call, call.config ?? salvageConf(call.conf));
  const failures: CniError[] = [];
  const valid = new Set(call.valid.map(({ containerId }) => containerId));
  const known = knownContainers(session, call.conf.name);
  const living = known.filter(({ containerId, isForeign }) => isForeign || valid.has(containerId));
  const usedNetns = new Set(living.flatMap(({ entries }) => entries.map(({ netns }) => netns)));
  for (const { containerId } of known.filter((container) => !living.includes(container)))
    failures.push(...(await collectContainer(session, call, containerId, usedNetns)));
  await collectNetworks(session, call.valid, known, living, failures);
  try {
    forgetSettled(session.conf.cniDir, valid);
  } catch (error) {
    failures.push(CniError.from(error));
  }
  throwJoined(failures.map((failure) => failure.within("Multus: GC: ")));
}

/** Containers with a journal, a cached result or a lock that somebody who was killed left. */
function knownContainers(session: Session, network: string): KnownContainer[] {
  const { cniDir } = session.conf;
  const cached = cachedEntries(cniDir, session.log);
  const ids = [
    ...journaledContainers(cniDir),
    ...cached.map(({ containerId }) => containerId),
    ...lockedContainers(cniDir),
  ];
  return [...new Set(ids)].sort().map((containerId) => {
    const state = readJournal(cniDir, containerId, defaultIfName);
    if (state.kind === "present")
      return { containerId, entries: state.entries, isForeign: !["", network].includes(state.network) };
    const entries = cached.filter((each) => each.containerId === containerId).map(({ entry }) => entry);
    return { containerId, entries, isForeign: false };
  });
}

/**
 * DEL for everything of one container that is gone. Its namespace is only entered when no living container has one at the same path: a
 * path that was used again must not lose the new container's links. One that is being worked on right now is not gone.
 */
async function collectContainer(
  session: Session,
  call: GcCall<MultusConf>,
  containerId: string,
  usedNetns: ReadonlySet<string>,
): Promise<CniError[]> {
  const { cniDir } = session.conf;
  using lock = ContainerLock.tryTake(cniDir, containerId);
  if (lock === undefined) return [];
  const state = readJournal(cniDir, containerId, defaultIfName);
  if (state.kind === "torn") session.log.error(`journal of container ${containerId} is unreadable: ${state.reason}`);
  const entries =
    state.kind === "present"
      ? state.entries
      : cachedEntries(cniDir, session.log, containerId).map(({ entry }) => entry);
  const path = entries.find(({ netns }) => netns !== "")?.netns ?? "";
  using netns = new NetnsRef(usedNetns.has(path) ? "" : path);
  const attachment: AttachmentCall = { ...call, containerId, ifName: defaultIfName, args: noArgs, netns };
  const failures = await deleteEntries(underLock(session, lock), attachment, entries);
  if (state.kind !== "present") removeDeviceInfoOf(containerId, session.log);
  if (failures.length === 0) removeJournal(cniDir, containerId);
  session.log.verbose(`GC: container ${containerId} is gone`, { attachments: entries.length });
  return failures.map(({ error }) => error.within(`container ${containerId}: `));
}

/**
 * Has the networks' plugins clean up for themselves. While a living container is unknown here (attached before there was a journal) only
 * the default network is asked, which the runtime's own list speaks of: nobody can say what that container has on the others.
 */
async function collectNetworks(
  session: Session,
  runtimeList: readonly ValidAttachment[],
  known: readonly KnownContainer[],
  living: readonly KnownContainer[],
  failures: CniError[],
): Promise<void> {
  const [defaultNetwork, ...others] = await nodeLists(session, failures);
  const attachments = living.flatMap(({ containerId, entries }) =>
    entries.map(({ list, ifName }) => ({ network: list.name, containerId, ifName })),
  );
  if (defaultNetwork !== undefined)
    attachments.push(...runtimeList.map((each) => ({ network: defaultNetwork.name, ...each })));
  const strangers = runtimeList.filter(({ containerId }) => known.every((each) => each.containerId !== containerId));
  const ofPods = known.flatMap(({ entries }) => entries.filter(({ isDefault }) => !isDefault).map(({ list }) => list));
  if (strangers.length > 0) {
    session.log.error(
      `GC leaves the pods' networks alone: nothing is known of ${strangers.length} living containers, such as ${strangers[0]?.containerId}`,
    );
  }
  const lists = strangers.length > 0 ? [] : [...others, ...ofPods];
  for (const list of distinct([...(defaultNetwork === undefined ? [] : [defaultNetwork]), ...lists])) {
    const valid = attachments.filter(({ network }) => network === list.name);
    try {
      await gcList(session.runtime, list, session.path, valid);
    } catch (error) {
      failures.push(CniError.from(error).within(`network "${list.name}": `));
    }
  }
}

/** The networks that the node's own config names; that they can't be read now must not keep the rest from being collected. */
async function nodeLists(session: Session, failures: CniError[]): Promise<NetworkList[]> {
  const { conf, log } = session;
  try {
    const sources = await networkSources({ conf, cluster: await openCluster(session), pod: undefined, log });
    const { attachments } = makePlan({
      ifName: defaultIfName,
      args: noArgs,
      runtimeConfig: {},
      missingCapability: "ignore",
      sources,
    });
    return attachments.map(({ list }) => list);
  } catch (error) {
    failures.push(CniError.from(error));
    return [];
  }
}

/** One of each config: networks of one name may differ in what they name. */
function distinct(lists: readonly NetworkList[]): NetworkList[] {
  return [...new Map(lists.map((list) => [list.text, list])).values()];
}
