import type { AttributeEncoder } from "../netlink/attribute-encoder.ts";
import * as k from "./constants.ts";
import { compareOperators, metaKeys, payloadBases, verdictCodes } from "./expression-codes.ts";
import type { Expression, Nat, Verdict } from "./expression.ts";
import { networkProtocol } from "./family.ts";

/** Writes one element of NFTA_RULE_EXPRESSIONS: the name by which the kernel finds the code, and its attributes. */
export function encodeExpression(encoder: AttributeEncoder, expression: Expression): void {
  encoder.nested(k.NFTA_LIST_ELEM, (element) => {
    element.text(k.NFTA_EXPR_NAME, expression.kind === "verdict" ? "immediate" : expression.kind);
    element.nested(k.NFTA_EXPR_DATA, (data) => encodeData(data, expression));
  });
}

/** Every integer of nf_tables is big-endian. */
function encodeData(data: AttributeEncoder, expression: Expression): void {
  switch (expression.kind) {
    case "payload":
      data.be32(k.NFTA_PAYLOAD_DREG, expression.register);
      data.be32(k.NFTA_PAYLOAD_BASE, payloadBases[expression.base]);
      data.be32(k.NFTA_PAYLOAD_OFFSET, expression.offset);
      data.be32(k.NFTA_PAYLOAD_LEN, expression.bytes);
      return;
    case "cmp":
      data.be32(k.NFTA_CMP_SREG, expression.register);
      data.be32(k.NFTA_CMP_OP, compareOperators[expression.operator]);
      value(data, k.NFTA_CMP_DATA, expression.value);
      return;
    case "range":
      data.be32(k.NFTA_RANGE_SREG, expression.register);
      data.be32(k.NFTA_RANGE_OP, expression.isInverted ? k.NFT_RANGE_NEQ : k.NFT_RANGE_EQ);
      value(data, k.NFTA_RANGE_FROM_DATA, expression.from);
      value(data, k.NFTA_RANGE_TO_DATA, expression.to);
      return;
    case "ct":
      data.be32(k.NFTA_CT_DREG, expression.register);
      data.be32(k.NFTA_CT_KEY, k.NFT_CT_STATE);
      return;
    case "meta":
      data.be32(k.NFTA_META_KEY, metaKeys[expression.key]);
      data.be32(expression.direction === "load" ? k.NFTA_META_DREG : k.NFTA_META_SREG, expression.register);
      return;
    case "bitwise":
      data.be32(k.NFTA_BITWISE_SREG, expression.register);
      data.be32(k.NFTA_BITWISE_DREG, expression.register);
      data.be32(k.NFTA_BITWISE_LEN, expression.mask.length);
      value(data, k.NFTA_BITWISE_MASK, expression.mask);
      value(data, k.NFTA_BITWISE_XOR, expression.xor);
      return;
    case "immediate":
      data.be32(k.NFTA_IMMEDIATE_DREG, expression.register);
      value(data, k.NFTA_IMMEDIATE_DATA, expression.value);
      return;
    case "verdict":
      encodeVerdict(data, expression);
      return;
    case "masq":
      return;
    case "nat":
      encodeNat(data, expression);
      return;
    case "fib":
      data.be32(k.NFTA_FIB_DREG, expression.register);
      data.be32(k.NFTA_FIB_RESULT, k.NFT_FIB_RESULT_ADDRTYPE);
      data.be32(k.NFTA_FIB_FLAGS, k.NFTA_FIB_F_DADDR);
      return;
    case "lookup":
      data.text(k.NFTA_LOOKUP_SET, expression.set);
      data.be32(k.NFTA_LOOKUP_SREG, expression.register);
      if (expression.setId !== undefined) data.be32(k.NFTA_LOOKUP_SET_ID, expression.setId);
      if (expression.isInverted) data.be32(k.NFTA_LOOKUP_FLAGS, k.NFT_LOOKUP_F_INV);
      return;
    case "counter":
      data.be64(k.NFTA_COUNTER_BYTES, expression.bytes);
      data.be64(k.NFTA_COUNTER_PACKETS, expression.packets);
  }
}

/** A verdict is an immediate whose destination is the verdict register. */
function encodeVerdict(data: AttributeEncoder, { verdict, chain }: Verdict): void {
  data.be32(k.NFTA_IMMEDIATE_DREG, k.NFT_REG_VERDICT);
  data.nested(k.NFTA_IMMEDIATE_DATA, (immediate) => {
    immediate.nested(k.NFTA_DATA_VERDICT, (inner) => {
      inner.be32(k.NFTA_VERDICT_CODE, verdictCodes[verdict]);
      if (chain !== undefined) inner.text(k.NFTA_VERDICT_CHAIN, chain);
    });
  });
}

function encodeNat(data: AttributeEncoder, nat: Nat): void {
  data.be32(k.NFTA_NAT_TYPE, nat.type === "snat" ? k.NFT_NAT_SNAT : k.NFT_NAT_DNAT);
  data.be32(k.NFTA_NAT_FAMILY, networkProtocol(nat.family));
  data.be32(k.NFTA_NAT_REG_ADDR_MIN, nat.address);
  if (nat.port !== undefined) data.be32(k.NFTA_NAT_REG_PROTO_MIN, nat.port);
}

function value(encoder: AttributeEncoder, type: number, bytes: Uint8Array): void {
  encoder.nested(type, (data) => data.bytes(k.NFTA_DATA_VALUE, bytes));
}
