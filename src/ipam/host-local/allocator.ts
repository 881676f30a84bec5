import { equalIp, type Ip } from "../../ip/address.ts";
import type { Prefix } from "../../ip/prefix.ts";
import { rangeContains, rangeSize, walkRanges } from "../../ip/range.ts";
import type { Range, RangeSet } from "./range-set.ts";

/** An address that may be leased, as it goes into a result. */
export interface Candidate {
  readonly address: Prefix;
  readonly gateway: Ip;
}

/**
 * The addresses of a set in the order in which they are tried: from the one behind `last` (the address leased last; the set's first
 * when that is unknown or no longer in the set), round over all ranges, `last` itself at the end. Each address once, gateways
 * never. Lazy, so the size of an IPv6 subnet costs nothing.
 */
export function* candidates(set: RangeSet, last: Ip | undefined): Generator<Candidate, void, undefined> {
  for (const { ip, index } of walkRanges(set, last)) {
    const range = set[index];
    if (range !== undefined && !equalIp(ip, range.gateway)) yield candidate(range, ip);
  }
}

/** One address of the range with the prefix length and the gateway of its subnet. */
export function candidate(range: Range, ip: Ip): Candidate {
  return { address: { ip, bits: range.subnet.bits }, gateway: range.gateway };
}

/** How many addresses a set has to lease. */
export function capacity(set: RangeSet): bigint {
  return set.reduce((sum, range) => sum + rangeSize(range) - (rangeContains(range, range.gateway) ? 1n : 0n), 0n);
}
