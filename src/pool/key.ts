import { addIp, type Ip } from "../ip/address.ts";
import { containsIp, hasHostBits, type Prefix, parsePrefix } from "../ip/prefix.ts";

/** Whereabouts reads keys as int64 and erases those that it can't read with its next write. */
export const largestKey = (1n << 63n) - 1n;

const keyPattern = /^(0|[1-9]\d*)$/;

/**
 * The key of an address in `spec.allocations`: its distance from the pool's first address, in decimal. Undefined for an address outside
 * the pool, and for one so far behind (beyond the lower half of a /64) that whereabouts could not read the key.
 */
export function keyOf(range: Prefix, ip: Ip): string | undefined {
  if (!containsIp(range, ip)) return undefined;
  const distance = ip.value - range.ip.value;
  return distance < 0n || distance > largestKey ? undefined : distance.toString();
}

/** The address of a key; undefined for a key that is no such number, or of no address of the pool. */
export function addressOfKey(range: Prefix, key: string): Ip | undefined {
  if (!keyPattern.test(key)) return undefined;
  const distance = BigInt(key);
  if (distance > largestKey) return undefined;
  const ip = addIp(range.ip, distance);
  return ip !== undefined && containsIp(range, ip) ? ip : undefined;
}

/**
 * `spec.range` of a pool; undefined for what is no network in CIDR notation, and for one with host bits: whereabouts counts keys from the
 * address as it stands there, and gets the borrow wrong.
 */
export function parsePoolRange(text: string): Prefix | undefined {
  const prefix = parsePrefix(text);
  return prefix === undefined || hasHostBits(prefix) ? undefined : prefix;
}
