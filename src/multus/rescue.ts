import type { AttachmentCall } from "../cni/plugin.ts";
import { parseNetwork } from "../cni/network-list.ts";
import { type CachedAttachment, ResultCache } from "../cni/result-cache.ts";
import type { Cluster, Pod } from "../cluster/port.ts";
import type { Logger } from "../log/logger.ts";
import { messageOf } from "../words/message.ts";
import { podDevices } from "./devices.ts";
import type { JournalEntry } from "./journal.ts";
import { makePlan } from "./plan.ts";
import { isSamePod, openCluster, podIdentity, type Session } from "./session.ts";
import { networkSources } from "./sources.ts";

/** How long DEL waits for what it can do without: the runtime calls again if anything is left, and a node may have no API server to ask. */
const rescueWaitMs = 2000;

/** What a container may be attached to: `remembered` by a cached result, or `supposed` since it would be attached to it today. */
export interface RescuedEntries {
  readonly remembered: readonly JournalEntry[];
  readonly supposed: readonly JournalEntry[];
}

/**
 * What DEL goes by when the journal is missing or torn: the cached results of the container, and what would be attached today by the
 * node's config and, where it can still be read, the pod's annotation. A container that was never attached, or is deleted already, costs
 * little: every plugin's DEL of something that is not there succeeds. Never throws: what can't be read is logged.
 */
export async function rescueEntries(session: Session, call: AttachmentCall): Promise<RescuedEntries> {
  const remembered = cachedEntries(session.conf.cniDir, session.log, call.containerId).map(({ entry }) => entry);
  const known = new Set(remembered.map(({ ifName }) => ifName));
  const planned = await plannedEntries(session, call);
  return { remembered, supposed: planned.filter(({ ifName }) => !known.has(ifName)) };
}

/** The cached results as entries, of one container or of all; files that can't be read are logged. */
export function cachedEntries(
  cniDir: string,
  log: Logger,
  containerId?: string,
): { containerId: string; entry: JournalEntry }[] {
  const { attachments, unreadable } = new ResultCache(cniDir).list(containerId);
  for (const line of unreadable) log.error(line);
  return attachments.flatMap((cached) => {
    const entry = entryOf(cached, log);
    return entry === undefined ? [] : [{ containerId: cached.containerId, entry }];
  });
}

function entryOf(cached: CachedAttachment, log: Logger): JournalEntry | undefined {
  try {
    const { networkName: name, ifName, netnsPath: netns, args, capabilityArgs } = cached;
    return { name, ifName, netns, args, capabilityArgs, isDefault: false, list: parseNetwork(cached.config) };
  } catch (error) {
    log.error(`cached result of ${cached.networkName}, container ${cached.containerId}: ${messageOf(error)}`);
    return undefined;
  }
}

async function plannedEntries(session: Session, call: AttachmentCall): Promise<JournalEntry[]> {
  const { conf, log } = session;
  const { ifName, containerId, args } = call;
  const { runtimeConfig } = conf;
  const input = { ifName, containerId, args, runtimeConfig, missingCapability: "ignore" } as const;
  const attempt = async (cluster: Cluster | undefined, pod: Pod | undefined): Promise<JournalEntry[]> => {
    const sources = await networkSources({ conf, cluster, pod, log });
    const question = { kubeletDir: conf.kubeletDir, sources, cluster, pod, identity: podIdentity(call.args), log };
    const devices = await podDevices(question).catch(() => undefined);
    return makePlan({ ...input, devices, sources }).attachments.map((attachment) => ({
      ...attachment,
      netns: call.netns.path,
    }));
  };
  try {
    const cluster = await openCluster(session, rescueWaitMs);
    const identity = podIdentity(call.args);
    const pod = identity && (await cluster?.getPod(identity.namespace, identity.name));
    // A pod that was made again under the same name may have other networks: it says nothing about this container.
    const isSame = identity !== undefined && pod !== undefined && isSamePod(identity, pod);
    return await attempt(cluster, isSame ? pod : undefined);
  } catch (error) {
    log.error(`the pod's networks are not known any more: ${messageOf(error)}`);
  }
  try {
    return await attempt(undefined, undefined);
  } catch (error) {
    log.error(`the node's networks are not known: ${messageOf(error)}`);
    return [];
  }
}
