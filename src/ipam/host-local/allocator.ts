import { equalIp, type Ip } from "../../ip/address.ts";
import type { Prefix } from "../../ip/prefix.ts";
import { firstStep, nextStep, rangeContains, rangeSize } from "../../ip/range.ts";
import type { Range, RangeSet } from "./range-set.ts";

/** An address that may be leased, as it goes into a result. */
export interface Candidate {
  readonly address: Prefix;
  readonly gateway: Ip;
}

/**
 * The first address of a set that `accept` takes, undefined when it takes none. They are tried from the one behind `last` (the address
 * leased last; from the set's first when that is unknown or no longer in the set), round over all ranges, `last` itself at the end; each
 * once, gateways never.
 */
export function firstCandidate(
  set: RangeSet,
  last: Ip | undefined,
  accept: (candidate: Candidate) => boolean,
): Candidate | undefined {
  const start = firstStep(set, last);
  let step = start;
  do {
    const range = set[step.index]!;
    if (!equalIp(step.ip, range.gateway)) {
      const each = candidate(range, step.ip);
      if (accept(each)) return each;
    }
    step = nextStep(set, step);
  } while (!equalIp(step.ip, start.ip));
  return undefined;
}

/** One address of the range with the prefix length and the gateway of its subnet. */
export function candidate(range: Range, ip: Ip): Candidate {
  return { address: { ip, bits: range.subnet.bits }, gateway: range.gateway };
}

/** How many addresses a set has to lease. */
export function capacity(set: RangeSet): bigint {
  return set.reduce((sum, range) => sum + rangeSize(range) - (rangeContains(range, range.gateway) ? 1n : 0n), 0n);
}
