import { formatIp, type Ip, parseIp } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import type { PoolChange } from "../cluster/pools/port.ts";
import { allocationOf, claimFactsOf, entryIdOf, isIndexId } from "../pool/claim.ts";
import { keyOf, parsePoolRange } from "../pool/key.ts";
import type { Allocation, IpPool, Reservation } from "../pool/objects.ts";

/** An address that two hold: a claim of ours, and what somebody else has claimed or written into the pool. */
export interface Conflict {
  readonly pool: string;
  readonly address: string;
  readonly claim: Reservation;
  readonly entry: Allocation;
}

/** A key of which the claim is missing, or the entry; or the reservation, where an entry of Go in an overlapping pool should have one. */
export type Unsettled =
  /** `id` is the entry's. */
  | { readonly lacks: "claim"; readonly key: string; readonly id: string }
  | { readonly lacks: "reservation"; readonly key: string }
  | { readonly lacks: "entry"; readonly key: string; readonly claim: Reservation };

/** What makes a pool's map show the claims on its addresses. */
export interface IndexPlan {
  readonly changes: readonly PoolChange[];
  readonly conflicts: readonly Conflict[];
  /** What is left for now: entries whose claims are not to be seen, and entries that a node is about to write itself. */
  readonly unsettled: readonly Unsettled[];
  /** Entries that the map has when the changes are done. */
  readonly held: number;
}

const nothing: IndexPlan = { changes: [], conflicts: [], unsettled: [], held: 0 };

/**
 * What is to be changed in a pool's map so that every claim has its entry and every entry that only shows a claim has that claim, pure. What
 * others have written is never touched: it holds its address. `isSettled` is asked for an entry whose claim is not to be seen; false
 * leaves it for now, since what is seen of claims may be older than what is seen of the pool. And it is asked for a claim without an entry if its
 * node writes that itself. A pool whose range can't be used gets nothing.
 */
export function planIndex(
  pool: IpPool,
  claims: Iterable<Reservation>,
  isSettled: (unsettled: Unsettled) => boolean = () => true,
): IndexPlan {
  const range = parsePoolRange(pool.range);
  if (range === undefined) return nothing;
  const changes: PoolChange[] = [];
  const conflicts: Conflict[] = [];
  const unsettled: Unsettled[] = [];
  const isLeft = (open: Unsettled): boolean => {
    if (isSettled(open)) return false;
    unsettled.push(open);
    return true;
  };
  const shown = new Map<string, Allocation>();
  for (const claim of claims) {
    const found = placeOf(claim, range);
    if (found === undefined) continue;
    const { key, address } = found;
    const wanted = entryOf(claim);
    // One holder may claim an address by both of its names.
    const first = shown.get(key);
    if (first !== undefined) {
      if (!isSame(first, wanted)) conflicts.push({ pool: pool.name, address: formatIp(address), claim, entry: first });
      continue;
    }
    shown.set(key, wanted);
    const current = allocationOf(pool.allocations, key);
    if (current === undefined) {
      if (claimFactsOf(claim)?.isEntered === true && isLeft({ lacks: "entry", key, claim })) continue;
      changes.push({ op: "add", key, entry: wanted });
    } else if (!isIndexId(current.id)) {
      if (current.podref !== claim.podref || current.ifname !== wanted.ifname)
        conflicts.push({ pool: pool.name, address: formatIp(address), claim, entry: current });
    } else if (!isSame(current, wanted)) changes.push({ op: "replace", key, id: current.id, entry: wanted });
  }
  let held = changes.filter(({ op }) => op === "add").length;
  for (const key of Object.keys(pool.allocations)) {
    held++;
    if (shown.has(key)) continue;
    const current = allocationOf(pool.allocations, key);
    if (current === undefined || !isIndexId(current.id)) continue;
    if (isLeft({ lacks: "claim", key, id: current.id })) continue;
    changes.push({ op: "remove", key, id: current.id });
    held--;
  }
  return { changes, conflicts, unsettled, held };
}

function placeOf(claim: Reservation, range: Prefix): { readonly key: string; readonly address: Ip } | undefined {
  const address = parseIp(claimFactsOf(claim)?.address ?? "");
  const key = address && keyOf(range, address);
  return address === undefined || key === undefined ? undefined : { key, address };
}

function entryOf(claim: Reservation): Allocation {
  const { podref, ifName } = claim;
  return { id: entryIdOf(claim), podref, ifname: claimFactsOf(claim)?.ifName || ifName };
}

function isSame(a: Allocation, b: Allocation): boolean {
  return a.id === b.id && a.podref === b.podref && a.ifname === b.ifname;
}
