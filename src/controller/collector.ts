import type { Pools } from "../cluster/pools/port.ts";
import type { Logger } from "../log/logger.ts";
import { entryIdOf, holdFinalizer } from "../pool/claim.ts";
import { keyOf, parsePoolRange } from "../pool/key.ts";
import { parseIp } from "../ip/address.ts";
import type { IpPool } from "../pool/objects.ts";
import { messageOf } from "../words/message.ts";
import { type Holding, holdingsOf } from "./holding.ts";
import type { Scans } from "./scans.ts";
import type { Survey, Surveyor } from "./survey.ts";
import { findSuspects, type Suspect } from "./verdict.ts";

export interface CollectorOptions {
  readonly surveyor: Surveyor;
  readonly pools: Pools;
  readonly scans: Scans;
  /** Only says what it would release. */
  readonly isDryRun: boolean;
  readonly log: Logger;
  /** Told of each holding that was released. */
  readonly onRelease: (suspect: Suspect) => void;
}

/** Released between two looks at the pods. */
const chunkSize = 50;

/** What one pass has found and done. */
export interface PassSummary {
  readonly holdings: number;
  readonly pools: number;
  readonly suspects: number;
  readonly released: number;
  readonly failed: number;
}

/**
 * One pass over everything that is held: what has had no holder in two scans is released, each under the condition that it is still the same. A
 * holding that can't be released now is said, and the rest goes on. Rejects only when the survey itself fails.
 */
export async function collect(options: CollectorOptions): Promise<PassSummary> {
  const { surveyor, scans, log, isDryRun } = options;
  const began = performance.now();
  const survey = await surveyor.survey();
  const holdings = holdingsOf(survey.pools, survey.reservations);
  const suspects = findSuspects(holdings, survey);
  const confirmed = scans.confirm(suspects, Date.now());
  const outcome = { released: 0, failed: 0 };
  if (isDryRun) for (const suspect of confirmed) log.verbose(`would release ${describe(suspect)}`);
  else {
    for (let at = 0; at < confirmed.length; at += chunkSize)
      await releaseChunk(options, confirmed.slice(at, at + chunkSize), survey, outcome);
  }
  const { length: pools } = survey.pools;
  const summary = { holdings: holdings.length, pools, suspects: suspects.length, ...outcome };
  log.verbose(inWords(summary, performance.now() - began, isDryRun));
  return summary;
}

/** Takes a holding away if it is still what it was; false when it is gone or somebody else's. Throws `ClusterError`. */
export async function releaseHolding(
  pools: Pools,
  { reservation, entry, address, pool }: Holding,
  known: readonly IpPool[],
): Promise<boolean> {
  if (entry !== undefined) return await pools.patchPool(entry.pool, [{ op: "remove", key: entry.key, id: entry.id }]);
  if (reservation === undefined) return false;
  const { name, uid, finalizers } = reservation;
  if (!(await pools.deleteReservation(name, uid, finalizers.includes(holdFinalizer)))) return false;
  // In a cluster that is the index's part, which does it for many at once.
  if (pools.mayBeShared) return true;
  const range = parsePoolRange(known.find((each) => each.name === pool)?.range ?? "");
  const ip = parseIp(address);
  const key = range && ip && keyOf(range, ip);
  if (key !== undefined) await pools.patchPool(pool, [{ op: "remove", key, id: entryIdOf(reservation) }]);
  return true;
}

/** Looks at the pods once more, since they may have come back, or others of their names, and releases what still has no holder. */
async function releaseChunk(
  options: CollectorOptions,
  chunk: readonly Suspect[],
  survey: Survey,
  outcome: { released: number; failed: number },
): Promise<void> {
  const { surveyor, pools, log, onRelease } = options;
  const refs = [...new Set(chunk.map(({ holding }) => holding.podref))];
  const pods = new Map(survey.pods);
  for (const [ref, pod] of await Promise.all(refs.map(async (ref) => [ref, await surveyor.pod(ref)] as const))) {
    if (pod === undefined) pods.delete(ref);
    else pods.set(ref, pod);
  }
  const again = findSuspects(holdingsOf(survey.pools, survey.reservations), { ...survey, pods });
  const lost = new Set(again.map(({ holding }) => holding.id));
  const attempt = async (suspect: Suspect): Promise<void> => {
    try {
      if (!(await releaseHolding(pools, suspect.holding, survey.pools))) return;
      outcome.released++;
      log.verbose(`released ${describe(suspect)}`);
      onRelease(suspect);
    } catch (error) {
      outcome.failed++;
      log.error(`${suspect.holding.id} was not released: ${messageOf(error)}`);
    }
  };
  const still = chunk.filter(({ holding }) => lost.has(holding.id));
  // Entries before reservations: whereabouts asks for the reservation of an address that no entry shows, not the other way round. One after the
  // other, since they are parts of one object.
  for (const suspect of still) if (suspect.holding.entry !== undefined) await attempt(suspect);
  await Promise.all(still.filter(({ holding }) => holding.entry === undefined).map(attempt));
}

function describe({ holding: { address, id, podref, ifName }, reason }: Suspect): string {
  return `${address} (${id}, ${podref} ${ifName}): ${reason}`;
}

function inWords(
  { holdings, pools, suspects, released, failed }: PassSummary,
  tookMs: number,
  isDryRun: boolean,
): string {
  const done = isDryRun ? "nothing released (dry run)" : `${released} released, ${failed} failed`;
  return `gc: ${holdings} holdings in ${pools} pools, ${suspects} without a holder, ${done}, ${Math.round(tookMs)} ms`;
}
