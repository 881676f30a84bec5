import { formatIp, type Ip, parseIp } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import { allocationOf, claimFactsOf, containerOfId, isIndexId, isReleasable } from "../pool/claim.ts";
import { addressOfKey, parsePoolRange } from "../pool/key.ts";
import type { IpPool, Reservation } from "../pool/objects.ts";

/** One object, or entry of an object, that keeps an address from being given out. */
export interface Holding {
  /** "reservation 10.0.0.5", "pool 10.0.0.0-24 key 5": no two at one time have the same. */
  readonly id: string;
  /** Changes whenever it is somebody else's. */
  readonly version: string;
  /** Canonical text; "" when it can't be told. */
  readonly address: string;
  /** Of the pool; "" for reservations of whereabouts, which do not say. */
  readonly pool: string;
  /** namespace/name. */
  readonly podref: string;
  readonly ifName: string;
  /** "" in reservations of whereabouts. */
  readonly containerId: string;
  /** "" when nobody has said. */
  readonly podUid: string;
  readonly node: string;
  /** RFC 3339; "" for entries of pools. */
  readonly since: string;
  /** Whose it is: a claim of ours, a reservation of whereabouts, or an entry that whereabouts has written. */
  readonly kind: "claim" | "reservation" | "entry";
  /** The attachment is gone, and the time to wait before the address is given out again is over. */
  readonly isReleasable: boolean;
  /** What it takes to remove it. */
  readonly reservation?: Reservation;
  readonly entry?: { readonly pool: string; readonly key: string; readonly id: string };
}

/** All holdings. Entries that only show a claim are none. */
export function holdingsOf(pools: Iterable<IpPool>, reservations: Iterable<Reservation>, now = new Date()): Holding[] {
  const found: Holding[] = [];
  for (const reservation of reservations) found.push(ofReservation(reservation, now));
  for (const pool of pools) {
    const range = parsePoolRange(pool.range);
    for (const key of Object.keys(pool.allocations)) {
      const holding = ofEntry(pool, range, key);
      if (holding !== undefined) found.push(holding);
    }
  }
  return found;
}

function ofReservation(reservation: Reservation, now: Date): Holding {
  const { name, uid, podref, ifName, containerId, createdAt } = reservation;
  const facts = claimFactsOf(reservation);
  const address = facts === undefined ? addressInName(name) : parseIp(facts.address);
  return {
    id: `reservation ${name}`,
    version: uid,
    address: address === undefined ? "" : formatIp(address),
    pool: facts?.pool ?? "",
    podref,
    ifName: facts?.ifName || ifName,
    containerId,
    podUid: facts?.podUid ?? "",
    node: facts?.node ?? "",
    since: createdAt,
    kind: facts === undefined ? "reservation" : "claim",
    isReleasable: isReleasable(reservation, now),
    reservation,
  };
}

function ofEntry({ name, allocations }: IpPool, range: Prefix | undefined, key: string): Holding | undefined {
  const entry = allocationOf(allocations, key);
  if (entry === undefined || isIndexId(entry.id)) return undefined;
  const { id, podref, ifname } = entry;
  const address = range && addressOfKey(range, key);
  return {
    id: `pool ${name} key ${key}`,
    version: `${id} ${podref} ${ifname}`,
    address: address === undefined ? "" : formatIp(address),
    pool: name,
    podref,
    ifName: ifname,
    containerId: containerOfId(id),
    podUid: "",
    node: "",
    since: "",
    kind: "entry",
    isReleasable: false,
    entry: { pool: name, key, id },
  };
}

/**
 * The address in the name of a reservation of whereabouts: behind the network's name, which may look like a part of an IPv6 address. The
 * longest end that is an address counts.
 */
export function addressInName(name: string): Ip | undefined {
  const parts = name.split("-");
  for (let index = 0; index < parts.length; index++) {
    const ip = parseIp(parts.slice(index).join(":"));
    if (ip !== undefined) return ip;
  }
  return undefined;
}
