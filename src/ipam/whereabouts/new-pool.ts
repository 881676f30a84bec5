import { formatPrefix } from "../../ip/prefix.ts";
import { ClusterError } from "../../cluster/port.ts";
import { type ClaimScope, claimScope, hasClaimScope } from "../../pool/claim.ts";
import { foreignEntries } from "../../pool/foreign-entries.ts";
import { elsewhereAnnotation, mostElsewhere } from "../../pool/held-elsewhere.ts";
import { formatKeys, sortedKeys } from "../../pool/key-runs.ts";
import type { IpPool } from "../../pool/objects.ts";
import { type ClaimContext, isShared, wantedScope } from "./claim-context.ts";
import { overlappingPools } from "./overlapping-pools.ts";
import type { RangePlan } from "./range-plan.ts";
import { addressOfName } from "./reservation-address.ts";

/**
 * What a pool says of itself from the moment that it is made: by which names its addresses are claimed, and which of them Go nodes hold in overlapping
 * pools without a reservation. The controller keeps the latter from then on.
 */
export async function annotationsOfNewPool(context: ClaimContext, range: RangePlan): Promise<IpPool["annotations"]> {
  const names = new Set(await context.pools.reservationNames());
  const scope = claimScope(scopeOf(names, context, range));
  if (!isShared(context) || !context.config.isOverlapChecked) return scope;
  const keys: string[] = [];
  const pool = { name: range.pool, range: formatPrefix(range.network) };
  for (const { key, reservation } of foreignEntries(pool, await overlappingPools(context.pools, range, "recent")))
    if (!names.has(reservation)) keys.push(key);
  if (keys.length === 0) return scope;
  return { ...scope, [elsewhereAnnotation]: formatKeys(sortedKeys(keys).slice(0, mostElsewhere)) };
}

/** How often a pool that changes meanwhile is looked at again. */
const attempts = 5;

/**
 * Settles by which names the addresses of a pool of whereabouts' making are claimed, before the first of ours is; returns the pool with it. As in a pool that
 * is made, but that reservations of whereabouts say that overlaps were checked: then both names are taken by who does not check them.
 */
export async function settleScope(context: ClaimContext, range: RangePlan, unsettled: IpPool): Promise<IpPool> {
  const { pools } = context;
  let pool = unsettled;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const scope = claimScope(scopeOf(new Set(await pools.reservationNames()), context, range));
    if (await pools.annotatePool(pool, scope)) return { ...pool, annotations: { ...pool.annotations, ...scope } };
    pool = (await pools.getPool(range.pool)) ?? pool;
    if (hasClaimScope(pool)) return pool;
  }
  throw new ClusterError("conflict", `patch ippool ${range.pool}`, `its annotations were refused ${attempts} times`);
}

/** Of a pool that somebody has deleted, and that is made anew, addresses may be claimed by the other name: then both are taken from now on. */
function scopeOf(names: ReadonlySet<string>, context: ClaimContext, range: RangePlan): ClaimScope {
  const wanted = wantedScope(context);
  const { networkName } = context.config;
  for (const name of names) {
    const isOther =
      wanted === "network"
        ? name.startsWith(`${range.pool}.`)
        : addressOfName(name, networkName, range.network) !== undefined;
    if (isOther) return "both";
  }
  return wanted;
}
