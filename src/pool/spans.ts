import type { Ip } from "../ip/address.ts";
import { lastIp, networkOf, type Prefix } from "../ip/prefix.ts";
import { type IpRange, rangeContains } from "../ip/range.ts";
import { largestKey } from "./key.ts";

/** What decides which addresses of a network may be given out. */
export interface SpanRules {
  /** The network; host bits do not count. */
  readonly network: Prefix;
  readonly start?: Ip | undefined;
  readonly end?: Ip | undefined;
  readonly exclude: readonly IpRange[];
  /** The network's first and last address too, and networks of one or two addresses (`enable_l3`). */
  readonly isL3: boolean;
  /** Addresses are given out of slices of the network, whose own first addresses their keys are counted from. */
  readonly isSliced?: boolean;
}

/** The addresses that may be given out, in order and without overlap; none when nothing is left. */
export type Spans = readonly IpRange[];

/**
 * The addresses that whereabouts would give out: all but the first and the last of the network (in family 6 too), from `start` if that is
 * one of them, to `end` if that is one of the rest, without what is excluded. Bounds outside are passed over, as there. Addresses whose key
 * whereabouts could not read are left out.
 */
export function spansOf(rules: SpanRules): Spans {
  const window = boundsOf(rules);
  if (window === undefined) return [];
  let spans: IpRange[] = [window];
  for (const hole of rules.exclude) spans = without(spans, hole);
  return spans;
}

/** The first and the last address before exclusions; undefined for a network too small to have any. */
export function boundsOf({ network, start, end, isL3, isSliced = false }: SpanRules): IpRange | undefined {
  const { family } = network.ip;
  const margin = isL3 ? 0n : 1n;
  const base = networkOf(network).ip.value;
  let first = base + margin;
  let last = lastIp(network).value - margin;
  if (!isSliced && last - base > largestKey) last = base + largestKey;
  if (last < first) return undefined;
  if (start !== undefined && isWithin({ family, value: first }, { family, value: last }, start)) first = start.value;
  if (end !== undefined && isWithin({ family, value: first }, { family, value: last }, end)) last = end.value;
  return { first: { family, value: first }, last: { family, value: last } };
}

/** How many addresses there are. */
export function sizeOf(spans: Spans): bigint {
  let size = 0n;
  for (const { first, last } of spans) size += last.value - first.value + 1n;
  return size;
}

/** True when the address is one of them. */
export function spansContain(spans: Spans, ip: Ip): boolean {
  for (const span of spans) if (rangeContains(span, ip)) return true;
  return false;
}

/** What of the spans lies in the network. */
export function spansWithin(spans: Spans, network: Prefix): Spans {
  const { family } = network.ip;
  const low = networkOf(network).ip.value;
  const high = lastIp(network).value;
  const found: IpRange[] = [];
  for (const { first, last } of spans) {
    const from = first.value < low ? low : first.value;
    const to = last.value > high ? high : last.value;
    if (first.family === family && from <= to)
      found.push({ first: { family, value: from }, last: { family, value: to } });
  }
  return found;
}

/**
 * What a node may give out of its slice of a range with these spans: of the slice's own first and last address neither, as in whereabouts, unless
 * `isL3`.
 */
export function spansOfSlice(spans: Spans, slice: Prefix, isL3: boolean): Spans {
  const hosts = boundsOf({ network: slice, exclude: [], isL3 });
  const found: IpRange[] = [];
  if (hosts === undefined) return found;
  for (const { first, last } of spansWithin(spans, slice)) {
    const from = first.value < hosts.first.value ? hosts.first : first;
    const to = last.value > hosts.last.value ? hosts.last : last;
    if (from.value <= to.value) found.push({ first: from, last: to });
  }
  return found;
}

/**
 * The first `count` addresses that are not taken, in order; fewer when there are no more. `isTaken` is asked for each address on the
 * way.
 */
export function firstFree(spans: Spans, isTaken: (ip: Ip) => boolean, count: number): Ip[] {
  const found: Ip[] = [];
  for (const { first, last } of spans) {
    for (let value = first.value; value <= last.value; value++) {
      if (found.length >= count) return found;
      const ip: Ip = { family: first.family, value };
      if (!isTaken(ip)) found.push(ip);
    }
  }
  return found;
}

/** The range that an excluded network stands for. */
export function excludedRange(network: Prefix): IpRange {
  return { first: networkOf(network).ip, last: lastIp(network) };
}

function isWithin(first: Ip, last: Ip, ip: Ip): boolean {
  return rangeContains({ first, last }, ip);
}

function without(spans: readonly IpRange[], hole: IpRange): IpRange[] {
  const left: IpRange[] = [];
  for (const span of spans) {
    const { family } = span.first;
    if (family !== hole.first.family || hole.last.value < span.first.value || hole.first.value > span.last.value) {
      left.push(span);
      continue;
    }
    if (hole.first.value > span.first.value)
      left.push({ first: span.first, last: { family, value: hole.first.value - 1n } });
    if (hole.last.value < span.last.value)
      left.push({ first: { family, value: hole.last.value + 1n }, last: span.last });
  }
  return left;
}
