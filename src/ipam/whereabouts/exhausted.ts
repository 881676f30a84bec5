import { CniError, code } from "../../cni/error.ts";
import { type Ip, parseIp } from "../../ip/address.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import { claimFactsOf, entryIdOf, holdFinalizer, isReleasable } from "../../pool/claim.ts";
import { keyOf } from "../../pool/key.ts";
import type { Reservation } from "../../pool/objects.ts";
import { sizeOf, spansContain } from "../../pool/spans.ts";
import type { ClaimContext } from "./claim-context.ts";
import { addressOfName } from "./reservation-address.ts";
import { releaseEntry } from "./pool-entry.ts";
import type { RangePlan } from "./range-plan.ts";

/** How many holders an error names. */
const shownHolders = 3;

/**
 * Gives back what nobody needs any more although its name is taken: claims that were only kept from being given out again at once, and those
 * that an earlier sandbox of the same pod left on this node (a pod has one sandbox at a time). True when there was any.
 */
export async function collectReleasable(context: ClaimContext, range: RangePlan): Promise<boolean> {
  const now = new Date();
  let collected = false;
  for (const each of await context.pools.listReservations()) {
    const ip = addressOf(each, range, context);
    if (ip === undefined) continue;
    if (!isReleasable(each, now) && !isOfEarlierSandbox(each, context)) continue;
    const isGone = await context.pools.deleteReservation(each.name, each.uid, each.finalizers.includes(holdFinalizer));
    context.log.verbose(`gave back ${each.name} of ${each.podref}`, { container: each.containerId });
    collected ||= isGone;
    await forgetEntry(context, range, each, ip);
  }
  return collected;
}

/** Code 50, and in the details who has the first few addresses. `elsewhere`: how many only whereabouts' entries in overlapping pools hold. */
export async function exhausted(context: ClaimContext, range: RangePlan, elsewhere: number): Promise<CniError> {
  const size = sizeOf(range.spans);
  const text = `Could not allocate IP in range: ${range.text}`;
  if (size === 0n) return new CniError(code.notAvailable, text, "nothing is left of the range");
  const holders = (await context.pools.listReservations()).filter(
    (each) => addressOf(each, range, context) !== undefined,
  );
  const shown = holders.slice(0, shownHolders).map(({ name, podref }) => `${name} by ${podref}`);
  if (elsewhere > 0) shown.push(`${elsewhere} by entries of whereabouts in pools that overlap it`);
  const more = holders.length > shownHolders ? "; and so on" : "";
  const where = `${formatPrefix(range.network)} in ${context.pools.where}`;
  return new CniError(code.notAvailable, text, `its ${size} addresses are held (${where}): ${shown.join("; ")}${more}`);
}

/** The address of the range that a reservation holds, whichever pool it was taken from. */
function addressOf(
  reservation: Reservation,
  { pool, network, spans }: RangePlan,
  { config }: ClaimContext,
): Ip | undefined {
  const { networkName } = config;
  const facts = claimFactsOf(reservation);
  const isOfPool = facts?.pool === pool && reservation.name.startsWith(`${pool}.`);
  const ip = isOfPool ? parseIp(facts.address) : addressOfName(reservation.name, networkName, network);
  return ip !== undefined && spansContain(spans, ip) ? ip : undefined;
}

function isOfEarlierSandbox(
  reservation: Reservation,
  { podref, podUid, node, ifName, containerId }: ClaimContext,
): boolean {
  const facts = claimFactsOf(reservation);
  return (
    facts !== undefined &&
    podUid !== "" &&
    facts.podUid === podUid &&
    facts.node === node &&
    reservation.podref === podref &&
    facts.ifName === ifName &&
    reservation.containerId !== containerId
  );
}

/** Where a claim has an entry besides, that of the claim goes with it. */
async function forgetEntry(
  { pools, config }: ClaimContext,
  range: RangePlan,
  claim: Reservation,
  ip: Ip,
): Promise<void> {
  const key = keyOf(range.network, ip);
  if (config.isOverlapChecked || key === undefined || !pools.mayBeShared) return;
  await releaseEntry(pools, range.pool, key, entryIdOf(claim));
}
