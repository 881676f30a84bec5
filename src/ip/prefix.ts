import { equalIp, formatIp, type Ip, parseAsWritten, widthOf } from "./address.ts";

/** An address with a prefix length of 0 to 32 or 128 bits. Host bits are kept: 10.0.0.5/24 is itself, not 10.0.0.0/24. */
export interface Prefix {
  readonly ip: Ip;
  readonly bits: number;
}

const mappedBits = 96;

/**
 * Reads what Go's net.ParseCIDR accepts ("10.0.0.5/24", "2001:db8::1/64"; leading zeros in the length are fine) and keeps the host
 * bits. ::ffff:10.0.0.0/120 becomes 10.0.0.0/24, as Go prints it. Undefined for everything else, a bare address included, and,
 * unlike Go, for an IPv4-mapped address whose length is below 96: that network is no IPv4 network, and Go's reading of it (length
 * 0) would turn a typing error into a default route.
 */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const ip = parseAsWritten(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (ip === undefined || !/^\d+$/.test(length)) return undefined;
  const bits = Number(length);
  if (bits > widthOf(ip.family)) return undefined;
  if (ip.family === 4 || ip.value >> 32n !== 0xffffn) return { ip, bits };
  return bits < mappedBits ? undefined : { ip: { family: 4, value: ip.value & 0xffff_ffffn }, bits: bits - mappedBits };
}

/** Text such as "10.0.0.5/24", host bits included. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatIp(prefix.ip)}/${prefix.bits}`;
}

/** The same prefix with its host bits cleared; its address is the network's first. */
export function networkOf(prefix: Prefix): Prefix {
  const shift = hostBits(prefix);
  return { ip: { family: prefix.ip.family, value: (prefix.ip.value >> shift) << shift }, bits: prefix.bits };
}

/** True when the address is not the network's first: 10.0.0.5/24. */
export function hasHostBits(prefix: Prefix): boolean {
  return !equalIp(prefix.ip, networkOf(prefix).ip);
}

/** The network's last address: the broadcast address in family 4 (up to /30), an ordinary one in family 6. */
export function lastIp(prefix: Prefix): Ip {
  return { family: prefix.ip.family, value: prefix.ip.value | ((1n << hostBits(prefix)) - 1n) };
}

/** True when `ip` is of the prefix's family and inside its network. */
export function containsIp(prefix: Prefix, ip: Ip): boolean {
  const shift = hostBits(prefix);
  return prefix.ip.family === ip.family && prefix.ip.value >> shift === ip.value >> shift;
}

/** True when the two networks share an address; never across families. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return a.bits <= b.bits ? containsIp(a, b.ip) : containsIp(b, a.ip);
}

/** The prefix that holds this one address: /32 or /128. */
export function hostPrefix(ip: Ip): Prefix {
  return { ip, bits: widthOf(ip.family) };
}

/** True for the destination of a default route: 0.0.0.0/0 or ::/0, whatever host bits came with the length 0. */
export function isDefault(prefix: Prefix): boolean {
  return prefix.bits === 0;
}

/** True when address (host bits included) and length are the same. */
export function equalPrefix(a: Prefix, b: Prefix): boolean {
  return a.bits === b.bits && equalIp(a.ip, b.ip);
}

/** True when one of the prefixes is the same as `prefix`. */
export function isAmong(prefixes: readonly Prefix[], prefix: Prefix): boolean {
  for (const each of prefixes) if (equalPrefix(each, prefix)) return true;
  return false;
}

function hostBits(prefix: Prefix): bigint {
  return BigInt(widthOf(prefix.ip.family) - prefix.bits);
}
