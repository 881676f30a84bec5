import type { Pools } from "../../cluster/pools/port.ts";
import { releaseAfter } from "../../pool/claim.ts";
import { HintFile } from "./hint.ts";
import type { Journal, JournalClaim } from "./journal.ts";
import { toCniError } from "./failure.ts";
import { SliceFolder } from "./slice-folder.ts";
import { dropClaim } from "./drop.ts";

export interface ReleaseOptions {
  readonly dataDir: string;
  /** The address was never used: nobody needs to be kept from it. */
  readonly isUnused?: boolean;
}

/**
 * Gives back everything that a journal names, all at once and to the end; what is given back leaves the journal. A claim whose fate is not
 * known is looked at first: only what carries our own random text is ours. Throws what went wrong first; the journal holds the rest.
 */
export async function releaseAll(open: () => Promise<Pools>, journal: Journal, options: ReleaseOptions): Promise<void> {
  const failures: unknown[] = [];
  const releases: Promise<void>[] = [];
  // What is being given back is not to be found as a finished ADD's by the next one, whatever becomes of this call.
  if (journal.head !== undefined) journal.begin(journal.head);
  const isLocal = journal.claims.every(({ slice }) => slice !== undefined);
  const pools = isLocal ? undefined : await open();
  for (const claim of journal.claims) {
    const release = releaseClaim(pools, journal, claim, options).then(() => journal.gone(claim.name));
    releases.push(release.catch((error: unknown) => void failures.push(error)));
  }
  await Promise.all(releases);
  if (failures.length > 0) throw toCniError(failures[0]);
}

async function releaseClaim(
  pools: Pools | undefined,
  journal: Journal,
  claim: JournalClaim,
  { dataDir, isUnused = false }: ReleaseOptions,
): Promise<void> {
  if (claim.slice !== undefined) return await releaseOfSlice(claim, claim.slice, journal, { dataDir, isUnused });
  if (pools === undefined) return;
  const uid = claim.uid ?? (await pools.ownedReservation(claim.name, claim.owner));
  if (uid !== undefined) {
    const isKept = claim.releaseDelayMs > 0 && !isUnused && (await keepAwhile(pools, claim, uid, dataDir));
    if (!isKept) await dropClaim(pools, { ...claim, uid }, dataDir);
  }
  new HintFile(dataDir, claim.hint.pool, !pools.hasCheapNames).released(claim.hint.key);
}

/** The file goes now, or when the address has rested: until then it keeps others from it by itself. */
async function releaseOfSlice(
  claim: JournalClaim,
  { folder, address }: NonNullable<JournalClaim["slice"]>,
  { head }: Journal,
  { dataDir, isUnused }: Required<ReleaseOptions>,
): Promise<void> {
  const { owner, uid, releaseDelayMs } = claim;
  if (releaseDelayMs === 0 || isUnused || uid === undefined || head === undefined)
    return new SliceFolder(dataDir, folder).release(address, owner);
  const { remember } = await import("./delayed.ts");
  remember(dataDir, new Date(Date.now() + releaseDelayMs), { claim: { ...claim, uid }, source: head.source });
}

/** Marks a claim as nobody's, to be given back later; false when it is gone. */
async function keepAwhile(pools: Pools, claim: JournalClaim, uid: string, dataDir: string): Promise<boolean> {
  const until = new Date(Date.now() + claim.releaseDelayMs);
  if (!(await pools.annotateReservation(claim.name, uid, releaseAfter(until)))) return false;
  const { remember } = await import("./delayed.ts");
  remember(dataDir, until, { claim: { ...claim, uid }, source: pools.source });
  return true;
}
