import { formatIp, type Ip } from "../ip/address.ts";
import { formatPrefix, networkOf, parsePrefix, type Prefix } from "../ip/prefix.ts";

/** Which pool is meant: pools of two networks never share anything, nor do the slices of two nodes. */
export interface PoolIdentity {
  readonly range: Prefix;
  /** `network_name`; "" for none. */
  readonly network: string;
  /** The node whose slice the pool is; absent for a pool that all nodes share. */
  readonly node?: string;
}

/**
 * The name of an IPPool as whereabouts makes it: the network in CIDR notation with "-" for ":" and "/", behind the network's and the
 * node's name. It may be no Kubernetes name (of ::/64, or with a network name in capitals): ask `isPoolName`.
 */
export function poolName({ range, network, node }: PoolIdentity): string {
  const text = formatPrefix(networkOf(range)).replaceAll(/[:/]/g, "-");
  return `${network === "" ? "" : `${network}-`}${node === undefined ? "" : `${node}-`}${text}`;
}

/**
 * What stands before the range in the name of a pool: the network's name, and the node's if it is the pool of a slice; "" when nothing does. Undefined
 * for a pool that is not named after its range.
 */
export function prefixOfPoolName(name: string, range: Prefix): string | undefined {
  const text = poolName({ range, network: "" });
  if (name === text) return "";
  return name.endsWith(`-${text}`) ? name.slice(0, -text.length - 1) : undefined;
}

/**
 * The range that the name of a pool speaks of, behind what stands before it (as `prefixOfPoolName` gives it); undefined when the name begins
 * otherwise, or no range follows.
 */
export function rangeOfPoolName(name: string, before: string): Prefix | undefined {
  const start = before === "" ? "" : `${before}-`;
  const end = name.lastIndexOf("-");
  if (!name.startsWith(start) || end < start.length) return undefined;
  const address = name.slice(start.length, end);
  return parsePrefix(`${address.includes(".") ? address : address.replaceAll("-", ":")}/${name.slice(end + 1)}`);
}

/**
 * The name of the reservation that holds an address in all overlapping pools of a network, as whereabouts makes it: the canonical
 * address with "-" for ":" (and a 0 behind a last one), behind the network's name.
 */
export function reservationName(ip: Ip, network: string): string {
  return `${network === "" ? "" : `${network}-`}${addressPart(ip)}`;
}

/**
 * The name of a reservation that holds an address within one pool only (`enable_overlapping_ranges: false`): our own, and no name that
 * whereabouts could give to an address.
 */
export function scopedReservationName(pool: string, ip: Ip): string {
  return `${pool}.${addressPart(ip)}`;
}

/** True for what Kubernetes takes as the name of an object (a DNS-1123 subdomain). */
export function isPoolName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(text);
}

function addressPart(ip: Ip): string {
  const text = formatIp(ip);
  return (text.endsWith(":") ? `${text}0` : text).replaceAll(":", "-");
}
