import type { PoolChange, Pools } from "../../cluster/pools/port.ts";
import { ClusterError, isClusterError } from "../../cluster/port.ts";
import { allocationOf, isIndexId } from "../../pool/claim.ts";
import type { Allocation } from "../../pool/objects.ts";

/** How often an entry that changes meanwhile is looked at again. */
const attempts = 5;

/** Adds an entry as `claimEntry` does; takes one out as `releaseEntry` does, and is true then. Throws `ClusterError`. */
export async function changeEntry(pools: Pools, pool: string, change: PoolChange): Promise<boolean> {
  if (change.op === "add") return await claimEntry(pools, pool, change.key, change.entry);
  await releaseEntry(pools, pool, change.key, change.id);
  return true;
}

/**
 * Puts an entry into a pool for whereabouts' nodes, which look nowhere else when they do not check for overlaps: where none is, or one that only
 * shows a claim (the caller holds the claim, so what it shows is over). False when whereabouts holds the address. Throws `ClusterError`, also when the
 * pool takes no change at all.
 */
async function claimEntry(pools: Pools, pool: string, key: string, entry: Allocation): Promise<boolean> {
  if (await pools.patchPool(pool, [{ op: "add", key, entry }])) return true;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const current = await pools.getPool(pool);
    const shown = current && allocationOf(current.allocations, key);
    if (shown === undefined) {
      if (await pools.patchPool(pool, [{ op: "add", key, entry }])) return true;
    } else {
      if (!isIndexId(shown.id)) return false;
      // Written before, by a call that was killed before it could say so, or by the controller.
      if (shown.id === entry.id && shown.podref === entry.podref && shown.ifname === entry.ifname) return true;
      if (await pools.patchPool(pool, [{ op: "replace", key, id: shown.id, entry }])) return true;
    }
  }
  const problem = `the entry of key ${key} was refused ${attempts + 1} times`;
  throw new ClusterError("conflict", `patch ippool ${pool}`, problem, "does its definition take what it is to hold?");
}

/** Takes an entry out of a pool if it is still the one of that id; a pool that is gone has none. Throws `ClusterError`. */
export async function releaseEntry(pools: Pools, pool: string, key: string, id: string): Promise<void> {
  try {
    await pools.patchPool(pool, [{ op: "remove", key, id }]);
  } catch (error) {
    if (!isClusterError(error, "not-found")) throw error;
  }
}
