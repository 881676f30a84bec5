import { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import * as k from "./constants.ts";
import { compareOperators, metaKeys, payloadBases, verdictCodes, wordOf } from "./expression-codes.ts";
import type { ListedExpression } from "./expression.ts";
import { networkProtocol } from "./family.ts";
import { cText } from "./userdata.ts";

/** Attributes of one expression by type. */
type Attributes = ReadonlyMap<number, Uint8Array>;

const absent = -1;
const nothing = new Uint8Array(0);

/**
 * Reads NFTA_RULE_EXPRESSIONS. What this module has no words for, a kind or a variant of one, becomes "unknown": rules are listed to
 * be recognised as ours or left alone, and a strange one is not ours. A list that is malformed sticks in the decoder, for its caller
 * to ask.
 */
export function decodeExpressions(list: AttributeDecoder): ListedExpression[] {
  const expressions: ListedExpression[] = [];
  while (list.next()) if (list.type === k.NFTA_LIST_ELEM) expressions.push(decodeElement(list.nested()));
  return expressions;
}

function decodeElement(element: AttributeDecoder): ListedExpression {
  let name = "";
  let attributes: Attributes = new Map();
  while (element.next()) {
    if (element.type === k.NFTA_EXPR_NAME) name = element.text();
    if (element.type === k.NFTA_EXPR_DATA) attributes = collect(element.nested());
  }
  return decoders[name]?.(attributes) ?? { kind: "unknown", name };
}

type Decode = (attributes: Attributes) => ListedExpression | undefined;

/** By kernel name; each answers undefined for a variant that Expression can't say. */
const decoders: Readonly<Record<string, Decode>> = {
  payload: (attributes) => {
    const base = wordOf(payloadBases, number(attributes, k.NFTA_PAYLOAD_BASE));
    const register = number(attributes, k.NFTA_PAYLOAD_DREG);
    // Without a destination register it writes into the packet.
    if (base === undefined || register === absent) return undefined;
    const offset = number(attributes, k.NFTA_PAYLOAD_OFFSET);
    return { kind: "payload", base, offset, bytes: number(attributes, k.NFTA_PAYLOAD_LEN), register };
  },
  cmp: (attributes) => {
    const operator = wordOf(compareOperators, number(attributes, k.NFTA_CMP_OP));
    const value = dataValue(attributes, k.NFTA_CMP_DATA);
    if (operator === undefined || value === undefined) return undefined;
    return { kind: "cmp", register: number(attributes, k.NFTA_CMP_SREG), operator, value };
  },
  range: (attributes) => {
    const from = dataValue(attributes, k.NFTA_RANGE_FROM_DATA);
    const to = dataValue(attributes, k.NFTA_RANGE_TO_DATA);
    if (from === undefined || to === undefined) return undefined;
    const isInverted = number(attributes, k.NFTA_RANGE_OP) === k.NFT_RANGE_NEQ;
    return { kind: "range", register: number(attributes, k.NFTA_RANGE_SREG), from, to, isInverted };
  },
  ct: (attributes) => {
    const isState = number(attributes, k.NFTA_CT_KEY) === k.NFT_CT_STATE;
    const register = number(attributes, k.NFTA_CT_DREG);
    return isState && register !== absent ? { kind: "ct", key: "state", register } : undefined;
  },
  meta: (attributes) => {
    const key = wordOf(metaKeys, number(attributes, k.NFTA_META_KEY));
    if (key === undefined) return undefined;
    const loaded = number(attributes, k.NFTA_META_DREG);
    if (loaded !== absent) return { kind: "meta", key, direction: "load", register: loaded };
    return { kind: "meta", key, direction: "set", register: number(attributes, k.NFTA_META_SREG) };
  },
  bitwise: (attributes) => {
    const register = number(attributes, k.NFTA_BITWISE_SREG);
    const mask = dataValue(attributes, k.NFTA_BITWISE_MASK);
    const xor = dataValue(attributes, k.NFTA_BITWISE_XOR);
    // A shift has neither mask nor xor.
    if (mask === undefined || xor === undefined) return undefined;
    return number(attributes, k.NFTA_BITWISE_DREG) === register ? { kind: "bitwise", register, mask, xor } : undefined;
  },
  immediate: (attributes) => {
    const register = number(attributes, k.NFTA_IMMEDIATE_DREG);
    if (register === k.NFT_REG_VERDICT) return decodeVerdict(attributes);
    const value = dataValue(attributes, k.NFTA_IMMEDIATE_DATA);
    return value === undefined ? undefined : { kind: "immediate", register, value };
  },
  masq: () => ({ kind: "masq" }),
  nat: (attributes) => {
    const type = number(attributes, k.NFTA_NAT_TYPE) === k.NFT_NAT_SNAT ? "snat" : "dnat";
    const family = number(attributes, k.NFTA_NAT_FAMILY) === networkProtocol(4) ? 4 : 6;
    const address = number(attributes, k.NFTA_NAT_REG_ADDR_MIN);
    const port = number(attributes, k.NFTA_NAT_REG_PROTO_MIN);
    if (address === absent) return undefined;
    return { kind: "nat", type, family, address, ...(port === absent ? {} : { port }) };
  },
  fib: (attributes) => {
    const isDestinationType =
      number(attributes, k.NFTA_FIB_RESULT) === k.NFT_FIB_RESULT_ADDRTYPE &&
      number(attributes, k.NFTA_FIB_FLAGS) === k.NFTA_FIB_F_DADDR;
    return isDestinationType ? { kind: "fib", register: number(attributes, k.NFTA_FIB_DREG) } : undefined;
  },
  lookup: (attributes) => ({
    kind: "lookup",
    register: number(attributes, k.NFTA_LOOKUP_SREG),
    set: text(attributes, k.NFTA_LOOKUP_SET),
    isInverted: number(attributes, k.NFTA_LOOKUP_FLAGS) === k.NFT_LOOKUP_F_INV,
  }),
  counter: (attributes) => ({
    kind: "counter",
    packets: bigNumber(attributes, k.NFTA_COUNTER_PACKETS),
    bytes: bigNumber(attributes, k.NFTA_COUNTER_BYTES),
  }),
  match: (attributes) => extension("match", attributes),
  target: (attributes) => extension("target", attributes),
};

function decodeVerdict(attributes: Attributes): ListedExpression | undefined {
  const inner = nested(nested(attributes, k.NFTA_IMMEDIATE_DATA), k.NFTA_DATA_VERDICT);
  const verdict = wordOf(verdictCodes, number(inner, k.NFTA_VERDICT_CODE));
  if (verdict === undefined) return undefined;
  const chain = text(inner, k.NFTA_VERDICT_CHAIN);
  return { kind: "verdict", verdict, ...(chain === "" ? {} : { chain }) };
}

function extension(kind: "match" | "target", attributes: Attributes): ListedExpression {
  const info = attributes.get(k.NFTA_XT_INFO) ?? nothing;
  return { kind, extension: text(attributes, k.NFTA_XT_NAME), info };
}

function collect(decoder: AttributeDecoder): Attributes {
  const attributes = new Map<number, Uint8Array>();
  while (decoder.next()) attributes.set(decoder.type, decoder.bytes());
  return attributes;
}

/** What an attribute holds, read as attributes; none when it is absent or holds something else. */
function nested(attributes: Attributes, type: number): Attributes {
  return collect(new AttributeDecoder(attributes.get(type) ?? nothing));
}

/** A big-endian u32; `absent` when it is not there. */
function number(attributes: Attributes, type: number): number {
  const bytes = attributes.get(type);
  return bytes?.length === 4 ? viewOf(bytes).getUint32(0) : absent;
}

/** A big-endian u64; 0 when it is not there. */
function bigNumber(attributes: Attributes, type: number): bigint {
  const bytes = attributes.get(type);
  return bytes?.length === 8 ? viewOf(bytes).getBigUint64(0) : 0n;
}

/** "" when it is not there. */
function text(attributes: Attributes, type: number): string {
  return cText(attributes.get(type) ?? nothing);
}

/** A copy of the constant in a struct nft_data; undefined when there is none. */
function dataValue(attributes: Attributes, type: number): Uint8Array | undefined {
  return nested(attributes, type).get(k.NFTA_DATA_VALUE)?.slice();
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
