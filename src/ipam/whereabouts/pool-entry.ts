import type { PoolChange, Pools } from "../../cluster/pools/port.ts";
import { ClusterError, isClusterError } from "../../cluster/port.ts";
import { allocationOf, isIndexId } from "../../pool/claim.ts";
import type { Allocation } from "../../pool/objects.ts";

/** How often an entry that changes meanwhile is looked at again. */
const attempts = 5;

/**
 * Makes changes of a pool's map, all in one patch; when that is refused, those that are still to be made in another one, and so on. For each
 * change whether it holds then. An entry is put where none is, or one that only shows a claim (the caller holds the claim, so what it shows is
 * over); it does not hold when whereabouts has the address. An entry is taken out if it is still the one of that id; so its removal always
 * holds. Throws `ClusterError`, also when the pool takes no change at all.
 */
export async function changeEntries(pools: Pools, pool: string, changes: readonly PoolChange[]): Promise<boolean[]> {
  const outcomes = changes.map(() => true);
  let open: readonly OpenChange[] = changes.map((change, place) => ({ place, change }));
  for (let attempt = 0; attempt < attempts; attempt++) {
    const patch = open.map(({ change }) => change);
    if (patch.length === 0 || (await patchUnlessGone(pools, pool, patch))) return outcomes;
    const current = await pools.getPool(pool);
    const still: OpenChange[] = [];
    for (const { place, change } of open) {
      const next = whatIsLeft(change, current && allocationOf(current.allocations, change.key));
      if (typeof next === "boolean") outcomes[place] = next;
      else still.push({ place, change: next });
    }
    open = still;
  }
  const keys = open.map(({ change }) => change.key).join(", ");
  const problem = `the entries of keys ${keys} were refused ${attempts} times`;
  throw new ClusterError("conflict", `patch ippool ${pool}`, problem, "does its definition take what it is to hold?");
}

interface OpenChange {
  /** Among those asked for. */
  readonly place: number;
  readonly change: PoolChange;
}

/** The change as it has to be made by now; whether it holds when nothing is left of it. */
function whatIsLeft(change: PoolChange, shown: Allocation | undefined): PoolChange | boolean {
  if (change.op === "remove") return shown?.id === change.id ? change : true;
  const { key, entry } = change;
  if (shown === undefined) return { op: "add", key, entry };
  if (!isIndexId(shown.id)) return false;
  // Written before, by a call that was killed before it could say so, or by the controller.
  if (shown.id === entry.id && shown.podref === entry.podref && shown.ifname === entry.ifname) return true;
  return { op: "replace", key, id: shown.id, entry };
}

/** A pool that is gone has no entries to take out. */
async function patchUnlessGone(pools: Pools, pool: string, patch: readonly PoolChange[]): Promise<boolean> {
  try {
    return await pools.patchPool(pool, patch);
  } catch (error) {
    if (!isClusterError(error, "not-found") || patch.some(({ op }) => op !== "remove")) throw error;
    return true;
  }
}

/** Takes an entry out of a pool if it is still the one of that id; a pool that is gone has none. Throws `ClusterError`. */
export async function releaseEntry(pools: Pools, pool: string, key: string, id: string): Promise<void> {
  await patchUnlessGone(pools, pool, [{ op: "remove", key, id }]);
}
