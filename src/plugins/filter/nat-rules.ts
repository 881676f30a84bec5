import { ipFromBytes, widthOf } from "../../ip/address.ts";
import { networkOf, parsePrefix, type Prefix } from "../../ip/prefix.ts";
import { hostOrder } from "../../netlink/constants.ts";
import type { Extension, ListedExpression } from "../../nft/expression.ts";
import type { ListedRule } from "../../nft/object.ts";
import { cText } from "../../nft/userdata.ts";
import { type Forward, readForward, readForwardWords } from "./forward.ts";

// Rules of table nat, as far as masquerading and port mappings are concerned, from either of the places where iptables keeps them: nf_tables, which we
// read ourselves, or the x_tables of old, which only its own binary can list.

/** One rule; `handle` is what removes it: the rule in nf_tables, or its line for `-D`. */
export interface NatRule<Handle> {
  readonly chain: string;
  /** The chain or the target (MASQUERADE, …) of `-j`; "" when there is none. */
  readonly target: string;
  /** What `-s` and `-d` ask for; absent when the rule does not ask, or asks for the contrary. */
  readonly source?: Prefix | undefined;
  readonly destination?: Prefix | undefined;
  readonly comment?: string | undefined;
  /** Where the rule sends packets to. */
  readonly forward?: Forward | undefined;
  /** The bits of the mark that the rule sets, or that it masquerades for. */
  readonly mark?: number | undefined;
  readonly handle: Handle;
}

export interface NatTable<Handle> {
  /** Chains that iptables did not make by itself. */
  readonly chains: readonly string[];
  readonly rules: readonly NatRule<Handle>[];
}

/** What is to go: rules by their handles, then whole chains. */
export interface Removal<Handle> {
  readonly rules: readonly Handle[];
  readonly chains: readonly string[];
}

/** Reads what `iptables -t nat -S` prints. A handle is the rule's text behind `-A `. */
export function parseNat(text: string): NatTable<string> {
  const chains: string[] = [];
  const rules: NatRule<string>[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("-N ")) chains.push(line.slice(3).trim());
    if (line.startsWith("-A ")) rules.push(parseRule(line.slice(3).trim()));
  }
  return { chains, rules };
}

/** Reads a rule that iptables-nft wrote to nf_tables; each part when it is asked for, since most rules are nobody's that asks. */
export function readNatRule(rule: ListedRule): NatRule<ListedRule> {
  const version = rule.chain.table.family === "ip" ? 4 : 6;
  return {
    chain: rule.chain.name,
    handle: rule,
    get target() {
      return targetOf(rule.expressions);
    },
    get comment() {
      return commentOf(rule);
    },
    get source() {
      return prefixAt(rule.expressions, version, version === 4 ? 12 : 8);
    },
    get destination() {
      return prefixAt(rule.expressions, version, version === 4 ? 16 : 24);
    },
    get forward() {
      return this.target === "DNAT" ? readForward(rule.expressions, version) : undefined;
    },
    get mark() {
      return this.target === "MARK" || this.target === "MASQUERADE" ? markOf(rule.expressions) : undefined;
    },
  };
}

/** A text as one word of iptables-restore(8). */
export function quote(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

function parseRule(handle: string): NatRule<string> {
  const words = splitWords(handle);
  const after = (option: string): string | undefined => {
    const at = words.indexOf(option);
    return at < 0 || words[at - 1] === "!" ? undefined : words[at + 1];
  };
  const source = parsePrefix(after("-s") ?? "");
  const destination = parsePrefix(after("-d") ?? "");
  const comment = after("--comment");
  const forward = readForwardWords(words);
  const mark = parseMark(after("--set-xmark") ?? after("--mark") ?? "");
  return {
    chain: words[0] ?? "",
    target: after("-j") ?? after("-g") ?? "",
    ...(forward === undefined ? {} : { forward }),
    ...(mark === undefined ? {} : { mark }),
    ...(source === undefined ? {} : { source }),
    ...(destination === undefined ? {} : { destination }),
    ...(comment === undefined ? {} : { comment }),
    handle,
  };
}

/** As iptables-restore(8) does: separated by spaces, double quotes around those that have some, a backslash before a quote inside. */
function splitWords(line: string): string[] {
  const words = line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return words.map((word) => (word.startsWith('"') ? word.slice(1, -1).replaceAll(/\\(.)/g, "$1") : word));
}

function targetOf(expressions: readonly ListedExpression[]): string {
  for (const one of expressions) {
    if (one.kind === "verdict") return one.chain ?? one.verdict.toUpperCase();
    if (one.kind === "target") return one.extension;
    if (one.kind === "masq") return "MASQUERADE";
    if (one.kind === "nat") return one.type.toUpperCase();
    if (one.kind === "meta" && one.direction === "set" && one.key === "mark") return "MARK";
  }
  return "";
}

/** `0x2000/0x2000`: these bits and no others. */
function parseMark(text: string): number | undefined {
  const [value = "", mask = value] = text.split("/");
  return value !== "" && Number(value) === Number(mask) ? Number(value) : undefined;
}

/** As an extension (struct xt_mark_tginfo2, struct xt_mark_mtinfo1: u32 mark, u32 mask), or as nf_tables' own expressions. */
function markOf(expressions: readonly ListedExpression[]): number | undefined {
  for (const [at, one] of expressions.entries()) {
    const isExtension =
      one.kind === "target" ? one.extension === "MARK" : one.kind === "match" && one.extension === "mark";
    if (isExtension) return sameWords((one as Extension).info.subarray(0, 8));
    const next = expressions[at + 1];
    if (one.kind !== "bitwise" || next === undefined) continue;
    // Set: all bits but these are kept, and these are set. Matched: these bits are looked at, and they are all set.
    if (next.kind === "meta" && next.key === "mark" && next.direction === "set") return wordOf(one.xor);
    if (next.kind === "cmp" && isMarkLoaded(expressions[at - 1]))
      return sameWords(Uint8Array.of(...one.mask, ...next.value));
  }
  return undefined;
}

function isMarkLoaded(one: ListedExpression | undefined): boolean {
  return one?.kind === "meta" && one.key === "mark" && one.direction === "load";
}

function sameWords(bytes: Uint8Array): number | undefined {
  const [first, second] = [wordOf(bytes.subarray(0, 4)), wordOf(bytes.subarray(4, 8))];
  return first === second ? first : undefined;
}

function wordOf(bytes: Uint8Array): number | undefined {
  return bytes.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, hostOrder) : undefined;
}

/** iptables-nft stores comments as those of x_tables, or, in some versions, as nft's. */
function commentOf({ expressions, comment }: ListedRule): string | undefined {
  const match = expressions.find((one): one is Extension => one.kind === "match" && one.extension === "comment");
  // struct xt_comment_info: char comment[256]
  return match === undefined ? comment : cText(match.info);
}

/** The prefix that the address at `offset` of the IP header must be in: payload, perhaps a mask, and a comparison for equality. */
function prefixAt(expressions: readonly ListedExpression[], version: 4 | 6, offset: number): Prefix | undefined {
  const at = expressions.findIndex((one) => one.kind === "payload" && one.base === "network" && one.offset === offset);
  if (at < 0) return undefined;
  const [first, second] = expressions.slice(at + 1);
  const mask = first?.kind === "bitwise" ? first.mask : undefined;
  const compare = mask === undefined ? first : second;
  if (compare?.kind !== "cmp" || compare.operator !== "==") return undefined;
  const address = new Uint8Array(widthOf(version) / 8);
  if (compare.value.length > address.length) return undefined;
  address.set(compare.value);
  const bits = mask === undefined ? compare.value.length * 8 : onesOf(mask);
  return networkOf({ ip: ipFromBytes(address), bits });
}

function onesOf(mask: Uint8Array): number {
  return mask.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
}
