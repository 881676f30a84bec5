import { widthOf } from "../ip/address.ts";
import { containsIp, formatPrefix, lastIp, networkOf, overlaps, type Prefix, parsePrefix } from "../ip/prefix.ts";
import { sizeOf, type Spans, spansOfSlice } from "../pool/spans.ts";

/** An entry of a NodeSlicePool's status.allocations. */
export interface SliceAllocation {
  /** "" for a slice that nobody has. */
  readonly nodeName: string;
  readonly sliceRange: string;
}

/** How a range is divided. */
export interface SliceLayout {
  readonly range: Prefix;
  /** Prefix length of a slice. */
  readonly sliceBits: number;
  /** Addresses of the range that pods may have: a slice without any is given to nobody. */
  readonly spans: Spans;
  /** Slices' own first and last addresses are given out too. */
  readonly isL3: boolean;
}

/** More held addresses than any slice is asked for. */
const most = 2n ** 40n;

/** How many addresses of a slice pods may have. */
export function usableIn({ spans, isL3 }: SliceLayout, slice: Prefix): number {
  const size = sizeOf(spansOfSlice(spans, slice, isL3));
  return Number(size > most ? most : size);
}

/** True for a slice of that layout, whoever has it. */
export function isSliceOf({ range, sliceBits }: SliceLayout, { sliceRange }: SliceAllocation): boolean {
  const slice = parsePrefix(sliceRange);
  return slice?.bits === sliceBits && containsIp(range, slice.ip);
}

/** "10.0.0.0/24 in slices of /26". */
export function formatLayout({ range, sliceBits }: SliceLayout): string {
  return `${formatPrefix(range)} in slices of /${sliceBits}`;
}

/**
 * The slices that do not overlap what is taken, from the lowest one on. They are looked for one by one, since a range of IPv6 may have more of them
 * than could ever be listed.
 */
export function* freeSlices(layout: SliceLayout, taken: readonly SliceAllocation[]): Generator<Prefix, undefined> {
  const { range, sliceBits, spans } = layout;
  const { family } = range.ip;
  const shift = BigInt(widthOf(family) - sliceBits);
  const numbers = new Set<bigint>();
  const others: Prefix[] = [];
  for (const { sliceRange } of taken) {
    const prefix = parsePrefix(sliceRange);
    if (prefix === undefined || prefix.ip.family !== family) continue;
    if (prefix.bits === sliceBits) numbers.add(prefix.ip.value >> shift);
    else others.push(prefix);
  }
  let next = 0n;
  for (const { first, last } of spans) {
    const from = first.value >> shift;
    if (next < from) next = from;
    while (next <= last.value >> shift) {
      const number = next++;
      const slice: Prefix = { ip: { family, value: number << shift }, bits: sliceBits };
      const obstacle = others.find((other) => overlaps(other, slice));
      if (obstacle !== undefined) {
        const behind = (lastIp(networkOf(obstacle)).value >> shift) + 1n;
        if (next < behind) next = behind;
      } else if (!numbers.has(number) && usableIn(layout, slice) > 0) yield slice;
    }
  }
  return undefined;
}
