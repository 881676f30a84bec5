import { containsIp } from "../ip/prefix.ts";
import { foreignEntries, goEntries, type GoEntry, placeOfPool, type PoolPlace } from "../pool/foreign-entries.ts";
import { sortedKeys } from "../pool/key-runs.ts";
import type { IpPool, Reservation } from "../pool/objects.ts";
import { addressInName } from "./holding.ts";

/**
 * Which pools have addresses in common, and which of these whereabouts' Go code has entered into one of them without a reservation: then an ADD from
 * the other finds nothing that would keep it from the address. Pools that overlap no other cost nothing but to find that out.
 */
export class Overlaps {
  readonly #pools: ReadonlyMap<string, IpPool>;
  #neighbours: ReadonlyMap<string, readonly string[]> | undefined;
  /** Who holds a reservation that Go has made, by its name. */
  readonly #holders = new Map<string, string>();
  /** A pool that has changed is another object. */
  readonly #entries = new WeakMap<IpPool, readonly GoEntry[]>();

  /** `pools` by their names, as they are at any time. */
  constructor(pools: ReadonlyMap<string, IpPool>) {
    this.#pools = pools;
  }

  /** A pool came or went. */
  poolsChanged(): void {
    this.#neighbours = undefined;
  }

  /** Forgets all reservations. */
  clear(): void {
    this.#holders.clear();
  }

  /** There is a reservation of Go's. */
  reserved({ name, podref }: Reservation): void {
    this.#holders.set(name, podref);
  }

  /** A reservation of Go's is there no more. */
  released({ name }: Reservation): void {
    this.#holders.delete(name);
  }

  /** The names of the pools that overlap that one; none when there is no such pool. */
  neighboursOf(name: string): readonly string[] {
    return this.#allNeighbours().get(name) ?? [];
  }

  /** The names of the pools that overlap another one and have the address of a reservation. */
  poolsOf({ name }: Reservation): string[] {
    const ip = addressInName(name);
    const found: string[] = [];
    if (ip === undefined) return found;
    for (const each of this.#allNeighbours().keys()) {
      const pool = this.#pools.get(each);
      const place = pool && placeOfPool(pool);
      if (place !== undefined && containsIp(place.range, ip)) found.push(each);
    }
    return found;
  }

  /** The keys of addresses of the pool that Go has entered into another one for somebody who has no reservation; in their order. */
  unreserved(pool: IpPool): string[] {
    const others: IpPool[] = [];
    for (const name of this.neighboursOf(pool.name)) {
      const other = this.#pools.get(name);
      if (other !== undefined) others.push(other);
    }
    const keys: string[] = [];
    for (const { key, reservation, podref } of foreignEntries(pool, others, (other) => this.#entriesOf(other)))
      if (this.#holders.get(reservation) !== podref) keys.push(key);
    return sortedKeys(keys);
  }

  #entriesOf(pool: IpPool): readonly GoEntry[] {
    const known = this.#entries.get(pool) ?? goEntries(pool);
    this.#entries.set(pool, known);
    return known;
  }

  #allNeighbours(): ReadonlyMap<string, readonly string[]> {
    return (this.#neighbours ??= neighbours(this.#pools.values()));
  }
}

interface Placed extends PoolPlace {
  readonly name: string;
}

/** For each pool that overlaps another one of its network the names of all that it overlaps. Of two networks one contains the other, or they share nothing. */
function neighbours(pools: Iterable<IpPool>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const join = (a: string, b: string): void => {
    found.set(a, [...(found.get(a) ?? []), b]);
    found.set(b, [...(found.get(b) ?? []), a]);
  };
  let around: Placed[] = [];
  for (const each of inOrder(pools)) {
    around = around.filter(({ network, range }) => network === each.network && containsIp(range, each.range.ip));
    for (const { name } of around) join(name, each.name);
    around.push(each);
  }
  return found;
}

/** Network by network, and each range behind those that contain it. */
function inOrder(pools: Iterable<IpPool>): Placed[] {
  const placed: Placed[] = [];
  for (const pool of pools) {
    const place = placeOfPool(pool);
    if (place !== undefined) placed.push({ name: pool.name, ...place });
  }
  return placed.toSorted((a, b) => {
    if (a.network !== b.network) return a.network < b.network ? -1 : 1;
    const [one, other] = [a.range.ip, b.range.ip];
    if (one.family !== other.family) return one.family - other.family;
    return one.value === other.value ? a.range.bits - b.range.bits : one.value < other.value ? -1 : 1;
  });
}
