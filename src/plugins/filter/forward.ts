import { type Ip, ipFromBytes, parseIp, widthOf } from "../../ip/address.ts";
import type { Extension, ListedExpression, Nat } from "../../nft/expression.ts";
import { protocolNumbers } from "../../nft/statement.ts";

// What a rule that changes a packet's destination says, whoever wrote it in whichever form: nft's own expressions, an extension of x_tables in
// nf_tables, or a line of `iptables -S`.

/** A rule that sends packets elsewhere; what the rule does not ask for, or says in a form unknown here, is undefined. */
export interface Forward {
  /** IPPROTO_* of include/uapi/linux/in.h. */
  readonly protocol: number | undefined;
  readonly hostPort: number | undefined;
  readonly hostIp: Ip | undefined;
  readonly to: Ip;
  readonly toPort: number | undefined;
}

const numbers: Readonly<Record<string, number>> = protocolNumbers;
/** Where the destination's address lies in the IPv4 and in the IPv6 header, and where a port does behind them. */
const destinationOffsets = { 4: 16, 6: 24 } as const;
const portOffset = 2;
// struct nf_nat_range2 of include/uapi/linux/netfilter/nf_nat.h: u32 flags, two addresses of 16 bytes, then ports.
const rangeAddressOffset = 4;
const rangePortOffset = 36;
const rangeBytes = 40;

/** Reads a rule of a table of that IP version; undefined for one that changes no destination. */
export function readForward(expressions: readonly ListedExpression[], version: 4 | 6): Forward | undefined {
  let protocol: number | undefined;
  let hostPort: number | undefined;
  let hostIp: Ip | undefined;
  // What the registers hold, as far as it matters.
  const constants = new Map<number, Uint8Array>();
  let loaded = "";
  for (const one of expressions) {
    if (one.kind === "nat" || one.kind === "target") {
      const target = readTarget(one, constants, version);
      return target === undefined ? undefined : { protocol, hostPort, hostIp, ...target };
    }
    if (one.kind === "immediate") constants.set(one.register, one.value);
    if (one.kind === "cmp" && one.operator === "==") {
      if (loaded === "l4proto") protocol = one.value[0];
      if (loaded === "dport") hostPort = be16(one.value, 0);
      if (loaded === "daddr") hostIp = addressOf(one.value, version);
    }
    loaded = nameOfLoaded(one, version);
  }
  return undefined;
}

type Target = Pick<Forward, "to" | "toPort">;

function readTarget(
  one: Nat | Extension,
  constants: ReadonlyMap<number, Uint8Array>,
  version: 4 | 6,
): Target | undefined {
  if (one.kind !== "nat") {
    if (one.extension !== "DNAT" || one.info.length < rangeBytes) return undefined;
    const address = one.info.subarray(rangeAddressOffset, rangeAddressOffset + widthOf(version) / 8);
    return { to: ipFromBytes(address), toPort: be16(one.info, rangePortOffset) };
  }
  const to = addressOf(constants.get(one.address), version);
  if (one.type !== "dnat" || to === undefined) return undefined;
  const port = one.port === undefined ? undefined : constants.get(one.port);
  return { to, toPort: port === undefined ? undefined : be16(port, 0) };
}

/** What the expression has loaded, of what the next may compare; "" for anything else. */
function nameOfLoaded(one: ListedExpression, version: 4 | 6): string {
  if (one.kind === "meta" && one.direction === "load") return one.key;
  if (one.kind !== "payload") return "";
  if (one.base === "transport" && one.offset === portOffset) return "dport";
  return one.base === "network" && one.offset === destinationOffsets[version] ? "daddr" : "";
}

/** Reads the words of a rule as `iptables -S` prints it; undefined for one that does not jump to DNAT, or not to one address. */
export function readForwardWords(words: readonly string[]): Forward | undefined {
  let [protocol, hostPort, hostIp, target]: string[] = [];
  for (const [at, word] of words.entries()) {
    if (words[at - 1] === "!") continue;
    const value = words[at + 1];
    if (word === "-p") protocol = value;
    if (word === "--dport") hostPort = value;
    if (word === "-d") hostIp = value;
    if (word === "--to-destination") target = value;
  }
  const match = /^(?:\[(.+)\]|([^[\]:]+))(?::(\d+))?$/.exec(target ?? "");
  const to = parseIp(match?.[1] ?? match?.[2] ?? "");
  if (to === undefined) return undefined;
  return {
    protocol: numbers[protocol ?? ""],
    hostPort: hostPort === undefined ? undefined : Number(hostPort),
    hostIp: parseIp(hostIp?.replace(/\/(?:32|128)$/, "") ?? ""),
    to,
    toPort: match?.[3] === undefined ? undefined : Number(match[3]),
  };
}

function addressOf(bytes: Uint8Array | undefined, version: 4 | 6): Ip | undefined {
  return bytes?.length === widthOf(version) / 8 ? ipFromBytes(bytes) : undefined;
}

function be16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
