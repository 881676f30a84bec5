import type { Pools } from "../../cluster/pools/port.ts";
import { isIndexId } from "../../pool/claim.ts";
import type { JournalClaim } from "./journal.ts";
import { releaseEntry } from "./pool-entry.ts";

/** A claim that is known to exist, or to have existed. */
export type MadeClaim = JournalClaim & { readonly uid: string };

/**
 * Deletes a claim, if it is still the one of that uid, and its entry. The entry first: while the reservation is there nobody of ours can claim the address and find the old entry in the way.
 */
export async function dropClaim(pools: Pools, claim: MadeClaim): Promise<void> {
  const { entry } = claim;
  if (entry !== undefined && isIndexId(entry.id)) await releaseEntry(pools, entry.pool, entry.key, entry.id);
  await pools.deleteReservation(claim.name, claim.uid, claim.hasFinalizer);
}
