import { formatIp, widthOf } from "../ip/address.ts";
import type { Prefix } from "../ip/prefix.ts";
import { formatRange, type IpRange } from "../ip/range.ts";
import * as k from "./constants.ts";
import { host32, type RuleCompiler, type SetElement, setTypes } from "./rule-compiler.ts";
import {
  addressOffsets,
  destinationIn,
  type Equality,
  hex,
  interfaceBytes,
  load,
  type PortProtocol,
  protocolNumbers,
  refuseBadPort,
  sign,
  sourceIn,
  type Statement,
} from "./statement.ts";

// Matches against several values, ranges and sets: what people write as conditions. Like those of statement.ts they are nft's own, down to the
// order of expressions, except that the ranges of a set that touch are one range here and there.

const register = k.NFT_REG_1;
const portBytes = 2;
const portOffsets = { sport: 0, dport: 2 } as const;
const textEncoder = new TextEncoder();

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Bits of a connection's state: NF_CT_STATE_BIT() of include/uapi/linux/netfilter/nf_conntrack_common.h. */
export const connectionStates = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const;

/** `ip saddr { 10.0.0.0/8, 192.168.1.1-192.168.1.9 }`: one of these ranges, at least one and all of one family, has (or has not) the address. */
export function addressAmong(
  field: "saddr" | "daddr",
  ranges: readonly IpRange[],
  operator: Equality = "==",
): Statement {
  const [only] = ranges;
  const prefix = ranges.length === 1 && only !== undefined ? prefixOf(only) : undefined;
  if (prefix !== undefined) return (field === "saddr" ? sourceIn : destinationIn)(prefix, operator);
  const family = only?.first.family ?? 4;
  const word = family === 4 ? "ip" : "ip6";
  return {
    print: () => `${word} ${field} ${sign(operator)}${braced(ranges.map(printRange))}`,
    compile: (rule) => {
      for (const { first } of ranges) {
        if (first.family !== family) rule.refuse("one set can't hold addresses of both IP versions");
      }
      rule.requireNetwork(family);
      load(rule, "network", addressOffsets[family][field], widthOf(family) / 8);
      const intervals = ranges.map(({ first, last }) => ({ from: first.value, to: last.value }));
      compare(rule, family === 4 ? "ipv4_addr" : "ipv6_addr", intervals, operator);
    },
  };
}

/** `tcp sport { 80, 1024-2000 }`: one of these ranges, at least one, has (or has not) the port. */
export function portAmong(
  protocol: PortProtocol,
  field: "sport" | "dport",
  ranges: readonly PortRange[],
  operator: Equality = "==",
): Statement {
  const words = ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return {
    print: () => `${protocol} ${field} ${sign(operator)}${braced(words)}`,
    compile: (rule) => {
      for (const { first, last } of ranges) for (const port of [first, last]) refuseBadPort(rule, port);
      rule.requireTransport(protocolNumbers[protocol]);
      load(rule, "transport", portOffsets[field], portBytes);
      const intervals = ranges.map(({ first, last }) => ({ from: BigInt(first), to: BigInt(last) }));
      compare(rule, "inet_service", intervals, operator);
    },
  };
}

/** `meta l4proto { tcp, udp }`: the packet carries (or does not carry) one of these. */
export function transportAmong(protocols: readonly PortProtocol[], operator: Equality = "=="): Statement {
  return {
    print: () => `meta l4proto ${sign(operator)}${braced(protocols)}`,
    compile: (rule) => {
      const [only] = protocols;
      if (protocols.length === 1 && only !== undefined && operator === "==") {
        rule.requireTransport(protocolNumbers[only]);
        return;
      }
      rule.push({ kind: "meta", key: "l4proto", direction: "load", register });
      const intervals = protocols.map((name) => ({
        from: BigInt(protocolNumbers[name]),
        to: BigInt(protocolNumbers[name]),
      }));
      compare(rule, "inet_proto", intervals, operator);
    },
  };
}

/** `iifname { "eth0", "eth1" }`, `iifname "eth*"`: an asterisk at the end of a name that stands alone is for any continuation. */
export function interfaceAmong(
  key: "iifname" | "oifname",
  names: readonly string[],
  operator: Equality = "==",
): Statement {
  return {
    print: () => `${key} ${sign(operator)}${braced(names.map((name) => `"${name}"`))}`,
    compile: (rule) => {
      const [only = ""] = names;
      rule.push({ kind: "meta", key, direction: "load", register });
      if (names.length === 1 && only.endsWith("*")) {
        rule.push({ kind: "cmp", register, operator, value: interfaceKey(rule, only.slice(0, -1), 0) });
        return;
      }
      const keys: Uint8Array[] = [];
      for (const name of names) keys.push(interfaceKey(rule, name, interfaceBytes));
      const [single] = keys;
      if (single !== undefined && keys.length === 1) rule.push({ kind: "cmp", register, operator, value: single });
      else rule.lookUp(register, "ifname", keys, operator === "!=");
    },
  };
}

/** `meta mark 0x10`, `meta mark & 0xff == 0x10`: the packet's mark, or what the mask leaves of it, is (or is not) this. */
export function markIs(value: number, mask: number | undefined, operator: Equality = "=="): Statement {
  return {
    print: () => `meta mark ${mask === undefined ? sign(operator) : `& ${hex(mask)} ${operator} `}${hex(value)}`,
    compile: (rule) => {
      rule.push({ kind: "meta", key: "mark", direction: "load", register });
      if (mask !== undefined) rule.push({ kind: "bitwise", register, mask: host32(mask), xor: host32(0) });
      rule.push({ kind: "cmp", register, operator, value: host32(value) });
    },
  };
}

/** `ct state new,related`: the packet's connection is (or is not) in one of these states. */
export function connectionStateAmong(
  states: readonly (keyof typeof connectionStates)[],
  operator: Equality = "==",
): Statement {
  return {
    print: () => `ct state ${sign(operator)}${states.join(",")}`,
    compile: (rule) => {
      let bits = 0;
      for (const state of states) bits |= connectionStates[state];
      rule.push({ kind: "ct", key: "state", register });
      if (operator === "==") rule.push({ kind: "bitwise", register, mask: host32(bits), xor: host32(0) });
      rule.push({ kind: "cmp", register, operator: "!=", value: host32(operator === "==" ? 0 : bits) });
    },
  };
}

/** Numbers as they are in the register, both ends included. */
interface Interval {
  readonly from: bigint;
  readonly to: bigint;
}

/** Compares the register as nft does: one value, one range, a set of values, or a set of intervals as soon as one of them is no single value. */
function compare(
  rule: RuleCompiler,
  type: keyof typeof setTypes,
  intervals: readonly Interval[],
  operator: Equality,
): void {
  const { bytes } = setTypes[type];
  const [only] = intervals;
  if (only === undefined || intervals.length > 1) {
    rule.lookUpElements(register, { type, ...elementsOf(intervals, bytes) }, operator === "!=");
    return;
  }
  const [from, to] = [toBytes(only.from, bytes), toBytes(only.to, bytes)];
  if (only.from === only.to) rule.push({ kind: "cmp", register, operator, value: from });
  else if (operator === "!=") rule.push({ kind: "range", register, from, to, isInverted: true });
  else {
    rule.push({ kind: "cmp", register, operator: ">=", value: from });
    rule.push({ kind: "cmp", register, operator: "<=", value: to });
  }
}

function elementsOf(
  intervals: readonly Interval[],
  bytes: number,
): { readonly elements: SetElement[]; readonly hasIntervals: boolean } {
  const sorted = intervals.toSorted((a, b) => (a.from < b.from ? -1 : Number(a.from > b.from)));
  const hasIntervals = sorted.some(({ from, to }) => from !== to);
  if (!hasIntervals) {
    const values = new Set(sorted.map(({ from }) => from));
    return { elements: [...values].map((value) => ({ key: toBytes(value, bytes) })), hasIntervals };
  }
  const last = (1n << BigInt(bytes * 8)) - 1n;
  const merged = merge(sorted);
  const elements: SetElement[] = [];
  // As nft's: what lies before the first interval is outside, and that has to be said.
  if (merged[0]?.from !== 0n) elements.push({ key: toBytes(0n, bytes), isEnd: true });
  for (const { from, to } of merged) {
    if (to === last) elements.push({ key: toBytes(from, bytes), isOpen: true });
    else elements.push({ key: toBytes(from, bytes) }, { key: toBytes(to + 1n, bytes), isEnd: true });
  }
  return { elements, hasIntervals };
}

/** Sorted intervals, those that overlap or touch made one. */
function merge(sorted: readonly Interval[]): Interval[] {
  const merged: { from: bigint; to: bigint }[] = [];
  for (const { from, to } of sorted) {
    const before = merged.at(-1);
    if (before === undefined || from > before.to + 1n) merged.push({ from, to });
    else if (to > before.to) before.to = to;
  }
  return merged;
}

function toBytes(value: bigint, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => Number((value >> BigInt((length - 1 - at) * 8)) & 0xffn));
}

function interfaceKey(rule: RuleCompiler, name: string, padTo: number): Uint8Array {
  const bytes = textEncoder.encode(name);
  if (bytes.length === 0 || bytes.length >= interfaceBytes || /[\0*]/.test(name))
    rule.refuse(`${JSON.stringify(name)} is not an interface name of 1 to ${interfaceBytes - 1} bytes`);
  const key = new Uint8Array(Math.max(padTo, bytes.length));
  key.set(bytes);
  return key;
}

/** The network that is just this range; undefined when none is. */
function prefixOf({ first, last }: IpRange): Prefix | undefined {
  const size = last.value - first.value + 1n;
  const hostBits = size.toString(2).length - 1;
  const isNetwork = size === 1n << BigInt(hostBits) && first.value % size === 0n;
  return isNetwork ? { ip: first, bits: widthOf(first.family) - hostBits } : undefined;
}

function printRange(range: IpRange): string {
  const prefix = prefixOf(range);
  if (prefix === undefined) return formatRange(range);
  const isOne = prefix.bits === widthOf(prefix.ip.family);
  return isOne ? formatIp(prefix.ip) : `${formatIp(prefix.ip)}/${prefix.bits}`;
}

function braced(words: readonly string[]): string {
  return words.length === 1 ? (words[0] ?? "") : `{ ${words.join(", ")} }`;
}
