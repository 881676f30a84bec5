import { compareIp, formatIp, type Ip } from "./address.ts";
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

/** Ranges of which there is at least one; they must not overlap. */
export type IpRanges = readonly [IpRange, ...IpRange[]];

/** One address on a round over a list of ranges, and which of them it came from (counted from 0). */
export interface RangeStep {
  readonly ip: Ip;
  readonly index: number;
}

/** Where a round begins: behind `after`, or with the first address when `after` is absent or in none of the ranges. */
export function firstStep(ranges: IpRanges, after?: Ip): RangeStep {
  if (after !== undefined) {
    for (let index = 0; index < ranges.length; index++) {
      if (rangeContains(ranges[index]!, after)) return nextStep(ranges, { ip: after, index });
    }
  }
  return { ip: ranges[0].first, index: 0 };
}

/**
 * The address behind a step of a round: the next of its range, behind that the first of the next range, and of the first one behind the
 * last. Taken until it comes back to where it began, a round meets every address exactly once.
 */
export function nextStep(ranges: IpRanges, { ip, index }: RangeStep): RangeStep {
  if (ip.value < ranges[index]!.last.value) return { ip: { family: ip.family, value: ip.value + 1n }, index };
  const next = (index + 1) % ranges.length;
  return { ip: ranges[next]!.first, index: next };
}
