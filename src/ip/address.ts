/**
 * One IP address. `value` is the address as an unsigned number in network order: below 2^32 for family 4, below 2^128 for
 * family 6. Two equal addresses have equal fields.
 */
export interface Ip {
  readonly family: 4 | 6;
  readonly value: bigint;
}

const v4Pattern = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const groupPattern = /^[0-9a-fA-F]{1,4}$/;
const groupsInV6 = 8;
/** The upper 96 bits of ::ffff:0:0/96, the IPv4-mapped addresses (RFC 4291 2.5.5.2). */
const mappedHead = 0xffffn;

/**
 * Reads what Go's net.ParseIP accepts: dotted IPv4 without leading zeros, IPv6 in any RFC 4291 form, either letter case, with or
 * without an IPv4 tail. An IPv4-mapped address becomes family 4, as every printout of Go's net.IP shows it. Undefined for
 * everything else: a zone ("fe80::1%eth0"), a prefix length, white space, the empty string.
 */
export function parseIp(text: string): Ip | undefined {
  const ip = parseAsWritten(text);
  return ip?.family === 6 && ip.value >> 32n === mappedHead ? { family: 4, value: ip.value & 0xffff_ffffn } : ip;
}

/** As `parseIp`, but an IPv4-mapped address stays the family 6 it was written in; prefix lengths count from there. */
export function parseAsWritten(text: string): Ip | undefined {
  const family = text.includes(":") ? 6 : 4;
  const value = family === 6 ? parseV6(text) : parseV4(text);
  return value === undefined ? undefined : { family, value };
}

/**
 * Text as Go prints it: dotted decimal, or RFC 5952 (lower case, the first longest run of two or more zero groups as "::"). A
 * family 6 address that is IPv4-mapped, which only bytes or arithmetic can yield, prints as ::ffff:1.2.3.4.
 */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) return formatV4(Number(ip.value));
  if (ip.value >> 32n === mappedHead) return `::ffff:${formatV4(Number(ip.value & 0xffff_ffffn))}`;
  return formatV6(ip.value);
}

/** How many bits an address of this family has: 32 or 128. */
export function widthOf(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** The address in network byte order: 4 or 16 bytes by its family. */
export function ipToBytes(ip: Ip): Uint8Array {
  const bytes = new Uint8Array(widthOf(ip.family) / 8);
  const view = new DataView(bytes.buffer);
  if (ip.family === 4) view.setUint32(0, Number(ip.value));
  else {
    view.setBigUint64(0, ip.value >> 64n);
    view.setBigUint64(8, ip.value);
  }
  return bytes;
}

/**
 * The address that 4 or 16 bytes in network order hold. The length alone decides the family (::ffff:1.2.3.4 stays family 6), so
 * what the kernel says goes back to it unchanged. Any other length is a RangeError.
 */
export function ipFromBytes(bytes: Uint8Array): Ip {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 4) return { family: 4, value: BigInt(view.getUint32(0)) };
  if (bytes.length === 16) return { family: 6, value: (view.getBigUint64(0) << 64n) | view.getBigUint64(8) };
  throw new RangeError(`expected an IP address of 4 or 16 bytes, got ${bytes.length}`);
}

/** The address `n` further on (back, when negative); undefined below the family's first or above its last address. */
export function addIp(ip: Ip, n: bigint): Ip | undefined {
  const value = ip.value + n;
  if (value < 0n || value >> BigInt(widthOf(ip.family)) !== 0n) return undefined;
  return { family: ip.family, value };
}

/** Order for sorting: negative, 0 or positive; all of family 4 before family 6, then by value. */
export function compareIp(a: Ip, b: Ip): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.value < b.value ? -1 : Number(a.value > b.value);
}

/** True when both are the same address of the same family. */
export function equalIp(a: Ip, b: Ip): boolean {
  return a.family === b.family && a.value === b.value;
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(ip: Ip): boolean {
  return ip.family === 4 ? ip.value >> 24n === 127n : ip.value === 1n;
}

/** 224.0.0.0/4 or ff00::/8. */
export function isMulticast(ip: Ip): boolean {
  return ip.family === 4 ? ip.value >> 28n === 0xen : ip.value >> 120n === 0xffn;
}

/** 0.0.0.0 or ::. */
export function isUnspecified(ip: Ip): boolean {
  return ip.value === 0n;
}

/** 169.254.0.0/16 or fe80::/10. */
export function isLinkLocalUnicast(ip: Ip): boolean {
  return ip.family === 4 ? ip.value >> 16n === 0xa9fen : ip.value >> 118n === 0x3fan;
}

/**
 * As Go's IsGlobalUnicast: everything but the unspecified, loopback, multicast and link-local addresses and 255.255.255.255.
 * Private addresses (RFC 1918, RFC 4193) count as global.
 */
export function isGlobalUnicast(ip: Ip): boolean {
  const isBroadcast = ip.family === 4 && ip.value === 0xffff_ffffn;
  return !isBroadcast && !isUnspecified(ip) && !isLoopback(ip) && !isMulticast(ip) && !isLinkLocalUnicast(ip);
}

function parseV4(text: string): bigint | undefined {
  const match = v4Pattern.exec(text);
  if (match === null) return undefined;
  let value = 0;
  for (const octet of match.slice(1)) {
    // A leading zero is refused rather than read as decimal or octal: programs disagree which it is.
    if (octet.length > 1 && octet.startsWith("0")) return undefined;
    if (Number(octet) > 255) return undefined;
    value = value * 256 + Number(octet);
  }
  return BigInt(value);
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split("::");
  const [head, tail] = halves;
  if (head === undefined || halves.length > 2) return undefined;
  const before = parseGroups(head, tail === undefined);
  if (tail === undefined) return before?.length === groupsInV6 ? join(before) : undefined;
  const after = parseGroups(tail, true);
  if (before === undefined || after === undefined) return undefined;
  // "::" has to stand for at least one group of zeros.
  const zeros = groupsInV6 - before.length - after.length;
  return zeros < 1 ? undefined : join([...before, ...Array.from({ length: zeros }, () => 0n), ...after]);
}

/** The 16-bit groups of one side of "::"; only the end of the address may be an IPv4 address, which makes two groups. */
function parseGroups(text: string, isEnd: boolean): bigint[] | undefined {
  if (text === "") return [];
  const words = text.split(":");
  const groups: bigint[] = [];
  for (const [index, word] of words.entries()) {
    if (groupPattern.test(word)) {
      groups.push(BigInt(Number.parseInt(word, 16)));
      continue;
    }
    const v4 = isEnd && index === words.length - 1 ? parseV4(word) : undefined;
    if (v4 === undefined) return undefined;
    groups.push(v4 >> 16n, v4 & 0xffffn);
  }
  return groups;
}

function join(groups: readonly bigint[]): bigint {
  return groups.reduce((value, group) => (value << 16n) | group, 0n);
}

function formatV4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

function formatV6(value: bigint): string {
  const digits = value.toString(16).padStart(32, "0");
  const groups = Array.from({ length: groupsInV6 }, (_, i) =>
    Number.parseInt(digits.slice(4 * i, 4 * i + 4), 16).toString(16),
  );
  const { start, length } = longestZeroRun(groups);
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

function longestZeroRun(groups: readonly string[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (const [index, group] of groups.entries()) {
    length = group === "0" ? length + 1 : 0;
    if (length > best.length) best = { start: index - length + 1, length };
  }
  return best;
}
