import type { Pools } from "../../cluster/pools/port.ts";
import { leaveEntry } from "./left-entry.ts";
import type { JournalClaim } from "./journal.ts";

/** A claim that is known to exist, or to have existed. */
export type MadeClaim = JournalClaim & { readonly uid: string };

/**
 * Deletes a claim, if it is still the one of that uid. Its entry is noted down as one that goes soon, before the claim does, so that it is not forgotten:
 * `startIndex` has it taken out. Until then Go takes the address for held, which is safe, and who claims it anew replaces the entry.
 */
export async function dropClaim(pools: Pools, claim: MadeClaim, dataDir: string): Promise<void> {
  const { entry } = claim;
  if (entry !== undefined) leaveEntry(dataDir, pools, claim.uid, entry);
  await pools.deleteReservation(claim.name, claim.uid, claim.hasFinalizer);
}
