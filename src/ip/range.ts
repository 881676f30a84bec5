import { addIp, compareIp, formatIp, type Ip } from "./address.ts";
import { lastIp, networkOf, type Prefix } from "./prefix.ts";

/** The addresses from `first` to `last`, both included; both of one family and in order. */
export interface IpRange {
  readonly first: Ip;
  readonly last: Ip;
}

/** The range from `first` to `last`; undefined when they are of two families or in the wrong order. */
export function rangeBetween(first: Ip, last: Ip): IpRange | undefined {
  return first.family === last.family && first.value <= last.value ? { first, last } : undefined;
}

/** Every address of the network, its own and the broadcast address included. */
export function rangeOfPrefix(prefix: Prefix): IpRange {
  return { first: networkOf(prefix).ip, last: lastIp(prefix) };
}

/**
 * The addresses of a network that hosts may have: without the network's own address, and in family 4 without the broadcast
 * address. Undefined when that leaves fewer than two (/31, /32, /127, /128), the smallest network host-local takes.
 */
export function hostRange(prefix: Prefix): IpRange | undefined {
  const { first, last } = rangeOfPrefix(prefix);
  if (last.value - first.value < 2n) return undefined;
  const { family } = first;
  return {
    first: { family, value: first.value + 1n },
    last: family === 4 ? { family, value: last.value - 1n } : last,
  };
}

/** Text such as "10.0.0.10-10.0.0.20". */
export function formatRange(range: IpRange): string {
  return `${formatIp(range.first)}-${formatIp(range.last)}`;
}

/** How many addresses the range holds, at least 1. */
export function rangeSize(range: IpRange): bigint {
  return range.last.value - range.first.value + 1n;
}

/** True when `ip` is of the range's family and inside it. */
export function rangeContains(range: IpRange, ip: Ip): boolean {
  return ip.family === range.first.family && range.first.value <= ip.value && ip.value <= range.last.value;
}

/** True when the two ranges share an address; never across families. */
export function rangesOverlap(a: IpRange, b: IpRange): boolean {
  return compareIp(a.first, b.last) <= 0 && compareIp(b.first, a.last) <= 0;
}

/** One address on a walk, and which of the ranges it came from (counted from 0). */
export interface RangeStep {
  readonly ip: Ip;
  readonly index: number;
}

/**
 * Every address of a list of ranges exactly once, in list order, as a round: it begins behind `after`, or with the first address
 * when `after` is absent or in none of the ranges, goes over the end back to the beginning, and ends with `after` itself. Ranges
 * must not overlap. Lazy: a walk over an IPv6 /64 costs no more than the steps taken.
 */
export function* walkRanges(ranges: readonly IpRange[], after?: Ip): Generator<RangeStep, void, undefined> {
  const index = after === undefined ? -1 : ranges.findIndex((range) => rangeContains(range, after));
  const current = ranges[index];
  if (after === undefined || current === undefined) {
    for (const [each, range] of ranges.entries()) yield* steps(range, each);
    return;
  }
  const next = addIp(after, 1n);
  const rest = next === undefined ? undefined : rangeBetween(next, current.last);
  if (rest !== undefined) yield* steps(rest, index);
  for (let hop = 1; hop < ranges.length; hop++) {
    const each = (index + hop) % ranges.length;
    const range = ranges[each];
    if (range !== undefined) yield* steps(range, each);
  }
  yield* steps({ first: current.first, last: after }, index);
}

function* steps(range: IpRange, index: number): Generator<RangeStep, void, undefined> {
  const { family } = range.first;
  for (let value = range.first.value; value <= range.last.value; value++) yield { ip: { family, value }, index };
}
