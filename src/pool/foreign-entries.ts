import type { Ip } from "../ip/address.ts";
import { overlaps, type Prefix } from "../ip/prefix.ts";
import { allocationOf, claimScopeOf, isIndexId, isSliceId } from "./claim.ts";
import { addressOfKey, keyOf, parsePoolRange } from "./key.ts";
import { prefixOfPoolName, reservationName } from "./names.ts";
import type { IpPool } from "./objects.ts";

/** Where a pool's addresses lie. */
export interface PoolPlace {
  readonly range: Prefix;
  /** `network_name`; with the node's name, if it is the pool of a slice. */
  readonly network: string;
}

/** An address that whereabouts' Go code has entered into a pool, and for whom. */
export interface GoEntry {
  readonly ip: Ip;
  readonly podref: string;
}

/** An entry of Go's in one pool, for an address that another one has too. */
export interface ForeignEntry {
  /** The address's key in that other pool. */
  readonly key: string;
  /** How its holder's reservation is named, if there is one. */
  readonly reservation: string;
  readonly podref: string;
}

/** Undefined for a pool whose range can't be used, or that is not named after it: of its addresses nobody knows how they are reserved. */
export function placeOfPool({ name, range: text }: Pick<IpPool, "name" | "range">): PoolPlace | undefined {
  const range = parsePoolRange(text);
  const network = range && prefixOfPoolName(name, range);
  return range === undefined || network === undefined ? undefined : { range, network };
}

/** None of a pool whose overlaps are not checked: its addresses may be given out again elsewhere. */
export function goEntries(pool: IpPool): GoEntry[] {
  const range = claimScopeOf(pool) === "pool" ? undefined : parsePoolRange(pool.range);
  if (range === undefined) return [];
  const found: GoEntry[] = [];
  for (const key of Object.keys(pool.allocations)) {
    const entry = allocationOf(pool.allocations, key);
    if (entry === undefined || isIndexId(entry.id) || isSliceId(entry.id)) continue;
    const ip = addressOfKey(range, key);
    if (ip !== undefined) found.push({ ip, podref: entry.podref });
  }
  return found;
}

/** Entries of Go's in those of the others that belong to the same network, for addresses that the pool has too; in no order. */
export function foreignEntries(
  pool: Pick<IpPool, "name" | "range">,
  others: Iterable<IpPool>,
  entriesOf: (other: IpPool) => readonly GoEntry[] = goEntries,
): ForeignEntry[] {
  const place = placeOfPool(pool);
  if (place === undefined) return [];
  const found: ForeignEntry[] = [];
  for (const other of others) {
    const foreign = placeOfPool(other);
    if (other.name === pool.name || foreign?.network !== place.network) continue;
    if (!overlaps(place.range, foreign.range)) continue;
    for (const { ip, podref } of entriesOf(other)) {
      const key = keyOf(place.range, ip);
      if (key !== undefined) found.push({ key, reservation: reservationName(ip, place.network), podref });
    }
  }
  return found;
}
