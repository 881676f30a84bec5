import type { DelCall } from "../../cni/plugin.ts";
import type { Pools } from "../../cluster/pools/port.ts";
import { equalIp, type Ip } from "../../ip/address.ts";
import { parsePrefix } from "../../ip/prefix.ts";
import {
  allocationOf,
  claimFactsOf,
  containerLabel,
  containerLabelValue,
  holdFinalizer,
  isIndexId,
} from "../../pool/claim.ts";
import { addressOfKey } from "../../pool/key.ts";
import { reservationName } from "../../pool/names.ts";
import type { WhereaboutsConfig } from "./config.ts";
import { nodeName } from "./node-name.ts";
import { slicePool } from "./own-slices.ts";
import { releaseEntry } from "./pool-entry.ts";
import type { RangePlan } from "./range-plan.ts";
import { sliceFolders } from "./slice-folder.ts";

/**
 * Gives back what an attachment has that no journal of this node tells of: the journal was lost, or Go code made the attachment before this
 * node was changed over. Claims are found by the container's label, whereabouts' own entries by container and interface in the pools that the
 * config names, as whereabouts itself does.
 */
export async function releaseUnjournaled(
  pools: Pools,
  config: WhereaboutsConfig,
  call: DelCall<unknown>,
): Promise<void> {
  const { containerId, ifName, log, runtime } = call;
  const node = nodeName(runtime.environment, config.configurationPath);
  for (const each of await pools.listReservations({ label: [containerLabel, containerLabelValue(containerId)] })) {
    const facts = claimFactsOf(each);
    if (facts === undefined || each.containerId !== containerId || facts.ifName !== ifName) continue;
    // Runtimes make ids up at random, but nobody says that two nodes can't have the same.
    if (facts.node !== node) continue;
    log.verbose(`giving back ${each.name}, which no journal tells of`, { container: containerId });
    await pools.deleteReservation(each.name, each.uid, each.finalizers.includes(holdFinalizer));
  }
  const slices = releaseSlices(config, call);
  if (!pools.mayBeShared) return;
  for (const range of [...config.ranges, ...slices]) await releaseEntriesOfGo(pools, config, range, call);
}

/** What files of this node's slices hold for the attachment is given back here and now; returns the pools that may have entries of Go. */
function releaseSlices(
  { dataDir }: WhereaboutsConfig,
  { containerId, ifName }: DelCall<unknown>,
): Pick<RangePlan, "pool" | "network">[] {
  const found: Pick<RangePlan, "pool" | "network">[] = [];
  for (const folder of sliceFolders(dataDir)) {
    for (const address of folder.addresses()) {
      const holder = folder.holderOf(address);
      if (holder?.containerId === containerId && holder.ifName === ifName) folder.release(address, holder.owner);
    }
    const facts = folder.facts();
    for (const text of facts?.slices ?? []) {
      const network = parsePrefix(text);
      if (facts !== undefined && network !== undefined)
        found.push({ network, pool: slicePool(network, facts.networkName, facts.node) });
    }
  }
  return found;
}

async function releaseEntriesOfGo(
  pools: Pools,
  { isOverlapChecked, networkName }: WhereaboutsConfig,
  range: Pick<RangePlan, "pool" | "network">,
  { containerId, ifName, conf, log }: DelCall<unknown>,
): Promise<void> {
  const pool = await pools.getPool(range.pool);
  if (pool === undefined) return;
  for (const key of Object.keys(pool.allocations)) {
    const entry = allocationOf(pool.allocations, key);
    const ip = addressOfKey(range.network, key);
    if (entry === undefined || ip === undefined || entry.id !== containerId || isIndexId(entry.id)) continue;
    // Versions before 0.8 did not say which interface: then the result of the ADD says which address is meant.
    const isMeant = entry.ifname === "" ? isInResult(conf.prevResult?.ips, ip) : entry.ifname === ifName;
    if (!isMeant) continue;
    log.verbose(`giving back key ${key} of ${range.pool}, which whereabouts entered`, { container: containerId });
    await releaseEntry(pools, range.pool, key, entry.id);
    if (!isOverlapChecked) continue;
    const held = await pools.getReservation(reservationName(ip, networkName));
    if (held !== undefined && claimFactsOf(held) === undefined && held.podref === entry.podref)
      await pools.deleteReservation(held.name, held.uid, false);
  }
}

function isInResult(ips: readonly { readonly address: { readonly ip: Ip } }[] | undefined, ip: Ip): boolean {
  if (ips === undefined) return true;
  for (const { address } of ips) if (equalIp(address.ip, ip)) return true;
  return false;
}
