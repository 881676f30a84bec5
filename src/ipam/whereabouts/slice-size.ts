import { CniError, code } from "../../cni/error.ts";
import { widthOf } from "../../ip/address.ts";
import { formatPrefix, type Prefix } from "../../ip/prefix.ts";
import { boundsOf } from "../../pool/spans.ts";

/** `node_slice_size` as people write it. */
export type SliceOption = string | number | undefined;

/** A range that is to be divided, or not. */
export interface SlicedRange {
  readonly network: Prefix;
  readonly isL3: boolean;
  /** `node_slice_size` of `ipam`. */
  readonly size: SliceOption;
  /** That of the range's own entry in `ipRanges`. */
  readonly own: SliceOption;
  /** Whereabouts' Go code divides this range, and no other one. */
  readonly isFirst: boolean;
  /** Of the range's object, for messages. */
  readonly path: string;
  readonly warn: (line: string) => void;
}

/** What of an entry of `ipRanges` says that all nodes share the range. */
const undivided = "none";
/** The longest prefix of IPv4: what is longer means IPv6. */
const longestOfFour = 32;

/**
 * Prefix length of a range's slices; undefined when all nodes share it. A size up to /32 is a length of IPv4, a longer one of IPv6; a range of the other
 * family is divided into slices of as many addresses: /26 makes /122 of IPv6. An entry's own size is a length of the entry's family. A further
 * range that the size does not divide stays shared, with a warning; anything else that can't be done is `CniError` code 7.
 */
export function sliceBitsOf(range: SlicedRange): number | undefined {
  const { network, own, isFirst, path, warn } = range;
  const common = parseSize(range.size, "$.ipam.node_slice_size");
  const ownPath = `${path}.node_slice_size`;
  if (isEmpty(own)) {
    if (common === undefined) return undefined;
    const bits = inFamily(common, network.ip.family);
    const problem = problemOf(range, bits, common);
    if (problem === undefined) return bits;
    if (isFirst) throw invalid(`$.ipam.node_slice_size: ${problem}`);
    warn(`$.ipam.node_slice_size: ${problem}; all nodes share that range: give it a "node_slice_size" of its own`);
    return undefined;
  }
  if (common === undefined)
    throw invalid(`${ownPath}: ranges are divided only where "node_slice_size" stands in ipam itself too`);
  const bits = own === undivided ? undefined : parseSize(own, ownPath);
  if (isFirst && bits !== inFamily(common, network.ip.family))
    throw invalid(`${ownPath}: the first range has the size that stands in ipam itself, as for whereabouts`);
  const problem = bits === undefined ? undefined : problemOf(range, bits, bits);
  if (problem !== undefined) throw invalid(`${ownPath}: ${problem}`);
  return bits;
}

/** Reads "/26", "26" or 26; undefined for nothing said. Throws `CniError` code 7. */
function parseSize(value: SliceOption, path: string): number | undefined {
  if (isEmpty(value)) return undefined;
  const digits = /^\/?(\d{1,3})$/.exec(String(value))?.[1];
  if (digits !== undefined && Number(digits) <= 128) return Number(digits);
  throw invalid(`${path}: expected a prefix length such as "/26", found ${JSON.stringify(value)}`);
}

/** What Go takes for nothing said. */
function isEmpty(value: SliceOption): value is undefined | "" | 0 {
  return value === undefined || value === "" || value === 0;
}

/** Slices of as many addresses; below 0 when the family has not so many. */
function inFamily(bits: number, family: 4 | 6): number {
  return bits - widthOf(bits > longestOfFour ? 6 : 4) + widthOf(family);
}

function problemOf({ network, isL3 }: SlicedRange, bits: number, written: number): string | undefined {
  const { family } = network.ip;
  const width = widthOf(family);
  const range = formatPrefix(network);
  if (bits < 0) return `a slice of /${written} has more addresses than IPv4, and does not divide ${range}`;
  const size = bits === written ? `/${bits}` : `/${written}, in IPv${family} /${bits},`;
  if (bits < network.bits || bits > width)
    return `${size} does not divide ${range}: expected /${network.bits} to /${width}`;
  if (boundsOf({ network: { ip: network.ip, bits }, exclude: [], isL3 }) === undefined)
    return `slices of /${bits} have no address for pods; "enable_l3": true gives out the first and the last address too`;
  return undefined;
}

function invalid(text: string): CniError {
  return new CniError(code.invalidConfig, text);
}
