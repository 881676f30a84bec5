import type { Pools } from "../../cluster/pools/port.ts";
import type { JournalClaim } from "./journal.ts";

/** True when the claim is in place and still the one that the journal speaks of. */
export async function isStillHeld(pools: Pools, claim: JournalClaim, dataDir: string): Promise<boolean> {
  if (claim.uid === undefined) return false;
  if (claim.slice === undefined) return (await pools.getReservation(claim.name))?.uid === claim.uid;
  const { SliceFolder } = await import("./slice-folder.ts");
  return new SliceFolder(dataDir, claim.slice.folder).holderOf(claim.slice.address)?.owner === claim.owner;
}
