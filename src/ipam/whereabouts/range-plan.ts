import { CniError, code } from "../../cni/error.ts";
import { formatIp, type Ip, parseIp } from "../../ip/address.ts";
import { containsIp, formatPrefix, hostPrefix, networkOf, type Prefix, parsePrefix } from "../../ip/prefix.ts";
import { isPoolName, poolName } from "../../pool/names.ts";
import { boundsOf, excludedRange, type Spans, spansOf } from "../../pool/spans.ts";
import type { RangeOptions } from "./options.ts";
import { sliceBitsOf, type SliceOption } from "./slice-size.ts";

/** One address is given out of each of these. */
export interface RangePlan {
  /** The network; its length goes with every address. */
  readonly network: Prefix;
  /** The IPPool, without any node's name. */
  readonly pool: string;
  readonly spans: Spans;
  readonly isL3: boolean;
  /** Prefix length of the nodes' slices; undefined when all nodes share the range. */
  readonly sliceBits: number | undefined;
  /** For messages, as whereabouts has it: "ip: 10.0.0.1 / - 10.0.0.254 / range: 10.0.0.0/24 / excludeRanges: []". */
  readonly text: string;
}

/** What holds for all ranges of a config. */
export interface RangeContext {
  /** `network_name`. */
  readonly networkName: string;
  readonly isL3: boolean;
  /** Addresses never to be given out, whatever the range says. */
  readonly without: readonly Ip[];
  /** `node_slice_size` of `ipam`. */
  readonly sliceSize: SliceOption;
  readonly warn: (line: string) => void;
}

/** Where a range stands in the config. */
export interface RangePlace {
  /** "$.ipam", "$.ipam.ipRanges[0]". */
  readonly path: string;
  /** Whereabouts refuses in `ipRanges` what it passes over in `ipam` itself. */
  readonly isStrict: boolean;
  readonly isFirst: boolean;
}

/**
 * A range with everything decided: `range` is a network, or "first-last/length" whose first address and last address stand for
 * `range_start` and `range_end`. Leading zeros pass, as in whereabouts. Throws `CniError` code 7 that names `path`.
 */
export function planRange(
  options: RangeOptions,
  { path, isStrict, isFirst }: RangePlace,
  context: RangeContext,
): RangePlan {
  const parsed = parseRange(options.range ?? "", `${path}.range`);
  const { network } = parsed;
  const start = parsed.start ?? bound(options.range_start, `${path}.range_start`, isStrict, context);
  const end = parsed.end ?? bound(options.range_end, `${path}.range_end`, isStrict, context);
  const isL3 = options.enable_l3 ?? context.isL3;
  const excluded = (options.exclude ?? []).map((text, index) => excludedNetwork(text, `${path}.exclude[${index}]`));
  const exclude = [...excluded, ...context.without.map(hostPrefix)].map(excludedRange);
  const { sliceSize: size, warn } = context;
  const sliceBits = sliceBitsOf({ network, isL3, size, own: options.node_slice_size, isFirst, path, warn });
  const rules = { network, start, end, exclude, isL3, isSliced: sliceBits !== undefined };
  const bounds = boundsOf(rules);
  if (bounds === undefined) {
    const hint = `"enable_l3": true gives out the first and the last address of a network too`;
    throw invalid(`net mask is too short, must be 2 or more: ${formatPrefix(network)}`, `${path}.range`, hint);
  }
  warnOfBounds({ start, end }, bounds, path, context);
  const pool = poolName({ range: network, network: context.networkName });
  requireName(pool, network, path);
  const list = excluded.map(formatPrefix).join(" ");
  return {
    network,
    pool,
    spans: spansOf(rules),
    isL3,
    sliceBits,
    text: `ip: ${formatIp(bounds.first)} / - ${formatIp(bounds.last)} / range: ${formatPrefix(network)} / excludeRanges: [${list}]`,
  };
}

interface ParsedRange {
  readonly network: Prefix;
  readonly start?: Ip;
  readonly end?: Ip;
}

function parseRange(text: string, path: string): ParsedRange {
  const dash = text.indexOf("-");
  const first = dash < 0 ? undefined : sloppyIp(text.slice(0, dash));
  const prefix = parsePrefix(withoutLeadingZeros(text.slice(dash + 1)));
  if (prefix === undefined || (dash >= 0 && first === undefined)) {
    const hint = `expected a network such as 10.0.0.0/24, or first and last address such as 10.0.0.10-10.0.0.20/24`;
    throw invalid(`invalid CIDR ${JSON.stringify(text)}`, path, hint);
  }
  const network = networkOf(prefix);
  if (first === undefined) return { network };
  if (!containsIp(network, first))
    throw invalid(`invalid range start for CIDR ${formatPrefix(network)}: ${formatIp(first)}`, path);
  return { network, start: first, end: prefix.ip };
}

/** In `ipam` itself whereabouts takes what it can't read as not said; in `ipRanges` it refuses the config. */
function bound(text: string | undefined, path: string, isStrict: boolean, { warn }: RangeContext): Ip | undefined {
  if (text === undefined || text === "") return undefined;
  const ip = isStrict ? parseIp(text) : sloppyIp(text);
  if (ip !== undefined) return ip;
  if (isStrict) throw invalid(`expected an IP address, found ${JSON.stringify(text)}`, path);
  warn(`${path}: ${JSON.stringify(text)} is no IP address; it is passed over, as whereabouts does`);
  return undefined;
}

function warnOfBounds(
  wanted: { readonly start: Ip | undefined; readonly end: Ip | undefined },
  { first, last }: { readonly first: Ip; readonly last: Ip },
  path: string,
  { warn }: RangeContext,
): void {
  const { start, end } = wanted;
  const passedOver = `is outside ${formatIp(first)}-${formatIp(last)}; it is passed over, as whereabouts does`;
  if (start !== undefined && start.value !== first.value) warn(`${path}.range_start: ${formatIp(start)} ${passedOver}`);
  if (end !== undefined && end.value !== last.value) warn(`${path}.range_end: ${formatIp(end)} ${passedOver}`);
}

function excludedNetwork(text: string, path: string): Prefix {
  const plain = withoutLeadingZeros(text);
  const ip = parseIp(plain);
  const prefix = ip === undefined ? parsePrefix(plain) : hostPrefix(ip);
  if (prefix !== undefined) return networkOf(prefix);
  const hint = "expected a network such as 10.0.0.0/28, or an address";
  throw invalid(`could not parse exclude range: invalid CIDR address: ${text}`, path, hint);
}

function requireName(pool: string, network: Prefix, path: string): void {
  if (isPoolName(pool)) return;
  const range = formatPrefix(network);
  const cure = range.startsWith("::")
    ? `set "network_name": a name can't begin with "-"`
    : `"network_name" has to be in lower case, of letters, digits, "-" and "."`;
  throw invalid(`the pool of ${range} would be named ${pool}, which Kubernetes does not take`, `${path}.range`, cure);
}

function sloppyIp(text: string): Ip | undefined {
  return parseIp(withoutLeadingZeros(text));
}

/** 192.168.002.010 as people line it up: whereabouts reads each part as decimal. */
function withoutLeadingZeros(text: string): string {
  return text.includes(":") ? text : text.replaceAll(/(^|[.])0+(?=\d)/g, "$1");
}

function invalid(text: string, path: string, details = ""): CniError {
  return new CniError(code.invalidConfig, `${text} (at ${path})`, details);
}
