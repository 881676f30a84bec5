import type { Pools } from "../../cluster/pools/port.ts";
import { changeTogether } from "./batch.ts";
import type { JournalClaim } from "./journal.ts";

/** A claim that is known to exist, or to have existed. */
export type MadeClaim = JournalClaim & { readonly uid: string };

/**
 * Deletes a claim, if it is still the one of that uid, and its entry. The entry first: while the reservation is there nobody of ours can claim the
 * address and find the old entry in the way.
 */
export async function dropClaim(pools: Pools, claim: MadeClaim, dataDir: string): Promise<void> {
  const { entry } = claim;
  if (entry !== undefined)
    await changeTogether(pools, dataDir, entry.pool, { op: "remove", key: entry.key, id: entry.id });
  await pools.deleteReservation(claim.name, claim.uid, claim.hasFinalizer);
}
