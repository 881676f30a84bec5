import { CniError, code } from "../../cni/error.ts";
import { formatIp, type Ip } from "../../ip/address.ts";
import { containsIp, formatPrefix, hasHostBits, networkOf, type Prefix } from "../../ip/prefix.ts";
import { formatRange, hostRange, rangeContains, type IpRange, rangesOverlap } from "../../ip/range.ts";

/** One range as a config has it; "" or nothing for what was not given. */
export interface RangeConfig {
  readonly subnet?: Prefix;
  readonly rangeStart?: Ip | undefined;
  readonly rangeEnd?: Ip | undefined;
  readonly gateway?: Ip | undefined;
}

/** The addresses of one subnet that may be leased, `gateway` excepted when it is among them. */
export interface Range extends IpRange {
  readonly subnet: Prefix;
  readonly gateway: Ip;
}

/** Ranges of one family that serve one address of a result together, the first one first; they do not overlap, and there is at least one. */
export type RangeSet = readonly [Range, ...Range[]];

/** Ranges as the config has them, and where in it each stands: `$.ipam.ranges[0][1]`. */
export interface RangeSetConfig {
  readonly ranges: readonly RangeConfig[];
  readonly pathOf: (index: number) => string;
}

/**
 * The set with everything filled in that the config left out: the gateway is the subnet's first address, and so is the start; the
 * end is the last address that a host may have. Throws `CniError` code 7 with upstream's texts and the JSON path.
 */
export function completeSet({ ranges, pathOf }: RangeSetConfig): RangeSet {
  const complete: Range[] = [];
  for (const range of ranges) complete.push(completeRange(range, pathOf(complete.length)));
  const [first, ...rest] = complete;
  if (first === undefined) throw invalid("empty range set", pathOf(0));
  for (let index = 1; index < complete.length; index++) {
    if (complete[index]!.first.family !== first.first.family) throw invalid("mixed address families", pathOf(index));
  }
  for (let index = 0; index < complete.length; index++) {
    for (let later = index + 1; later < complete.length; later++) {
      if (!rangesOverlap(complete[index]!, complete[later]!)) continue;
      const pair = `${formatRange(complete[index]!)} and ${formatRange(complete[later]!)}`;
      throw invalid(`subnets ${pair} overlap`, pathOf(later));
    }
  }
  return [first, ...rest];
}

/** The range of the set that holds the address; undefined when none does. */
export function rangeFor(set: RangeSet, ip: Ip): Range | undefined {
  for (const range of set) if (rangeContains(range, ip)) return range;
  return undefined;
}

/** True when the two sets share an address. */
export function setsOverlap(a: RangeSet, b: RangeSet): boolean {
  return a.some((range) => b.some((other) => rangesOverlap(range, other)));
}

/** Text such as "10.0.0.1-10.0.0.9,10.0.1.1-10.0.1.9". */
export function formatSet(set: RangeSet): string {
  return set.map(formatRange).join(",");
}

function completeRange(config: RangeConfig, path: string): Range {
  const { subnet } = config;
  if (subnet === undefined) throw invalid("IP <nil> not v4 nor v6", path, "a range needs a subnet");
  const usable = hostRange(subnet);
  if (usable === undefined)
    throw invalid(`Network ${formatPrefix(subnet)} too small to allocate from`, `${path}.subnet`);
  if (hasHostBits(subnet)) {
    const network = formatIp(networkOf(subnet).ip);
    const text = `Network has host bits set. For a subnet mask of length ${subnet.bits} the network address is ${network}`;
    throw invalid(text, `${path}.subnet`);
  }
  const first = config.rangeStart ?? usable.first;
  const last = config.rangeEnd ?? usable.last;
  // Upstream's order: an end before a given start is the start's fault, one before the default start is the end's. (A given start
  // behind the default end, such as the broadcast address, goes unnoticed there, and the search for an address never ends.)
  const isBackward = first.family === last.family && first.value > last.value;
  if (!containsIp(subnet, first) || (isBackward && config.rangeStart !== undefined)) {
    throw outside("RangeStart", first, subnet, `${path}.rangeStart`);
  }
  if (!containsIp(subnet, last) || isBackward) throw outside("RangeEnd", last, subnet, `${path}.rangeEnd`);
  return { first, last, subnet, gateway: config.gateway ?? usable.first };
}

function outside(what: string, ip: Ip, subnet: Prefix, path: string): CniError {
  return invalid(`${what} ${formatIp(ip)} not in network ${formatPrefix(subnet)}`, path);
}

function invalid(text: string, path: string, details = ""): CniError {
  return new CniError(code.invalidConfig, `${text} (at ${path})`, details);
}
