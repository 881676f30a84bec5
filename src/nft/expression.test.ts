import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import { AttributeEncoder } from "../netlink/attribute-encoder.ts";
import { decodeExpressions } from "./expression-decoder.ts";
import { encodeExpression } from "./expression-encoder.ts";
import type { Expression } from "./expression.ts";

function decode(list: Uint8Array): unknown {
  const decoder = new AttributeDecoder(list);
  const expressions = decodeExpressions(decoder);
  decoder.finish("test");
  return expressions;
}

function encode(expression: Expression): Uint8Array {
  const encoder = new AttributeEncoder();
  encodeExpression(encoder, expression);
  return encoder.finish();
}

const register = 1;
const bytes = (hex: string) => Uint8Array.fromHex(hex);

describe("expressions (byte table of a little-endian machine; nft --debug=mnl shows the same)", () => {
  const table: readonly [string, Expression][] = [
    [
      "340001800c0001007061796c6f6164002400028008000100000000010800020000000001080003000000000c0800040000000004",
      { kind: "payload", base: "network", offset: 12, bytes: 4, register },
    ],
    [
      "2c00018008000100636d700020000280080001000000000108000200000000010c000380070001000a010200",
      { kind: "cmp", register, operator: "!=", value: bytes("0a0102") },
    ],
    [
      "3c0001800a00010072616e67650000002c000280080001000000000108000200000000010c00038006000100040000000c0004800600010007d00000",
      { kind: "range", register, from: bytes("0400"), to: bytes("07d0"), isInverted: true },
    ],
    ["2000018007000100637400001400028008000100000000010800020000000000", { kind: "ct", key: "state", register }],
    [
      "24000180090001006d657461000000001400028008000200000000060800010000000001",
      { kind: "meta", key: "iifname", direction: "load", register },
    ],
    [
      "24000180090001006d657461000000001400028008000200000000030800030000000001",
      { kind: "meta", key: "mark", direction: "set", register },
    ],
    [
      "440001800c0001006269747769736500340002800800010000000001080002000000000108000300000000040c00048008000100f00000000c0005800800010000000000",
      { kind: "bitwise", register, mask: bytes("f0000000"), xor: bytes("00000000") },
    ],
    [
      "2c0001800e000100696d6d6564696174650000001800028008000100000000020c000280060001001f900000",
      { kind: "immediate", register: 2, value: bytes("1f90") },
    ],
    [
      "300001800e000100696d6d6564696174650000001c0002800800010000000000100002800c0002800800010000000000",
      { kind: "verdict", verdict: "drop" },
    ],
    [
      "300001800e000100696d6d6564696174650000001c0002800800010000000000100002800c00028008000100fffffffb",
      { kind: "verdict", verdict: "return" },
    ],
    [
      "380001800e000100696d6d656469617465000000240002800800010000000000180002801400028008000100fffffffd0800020061626300",
      { kind: "verdict", verdict: "jump", chain: "abc" },
    ],
    ["14000180090001006d6173710000000004000280", { kind: "masq" }],
    [
      "30000180080001006e617400240002800800010000000001080002000000000208000300000000010800050000000002",
      { kind: "nat", type: "dnat", family: 4, address: 1, port: 2 },
    ],
    [
      "28000180080001006e6174001c0002800800010000000000080002000000000a0800030000000001",
      { kind: "nat", type: "snat", family: 6, address: 1 },
    ],
    ["2800018008000100666962001c000280080001000000000108000200000000030800030000000002", { kind: "fib", register }],
    [
      "2c0001800b0001006c6f6f6b757000001c000280060001007300000008000200000000010800050000000001",
      { kind: "lookup", register, set: "s", isInverted: true },
    ],
    [
      "300001800b0001006c6f6f6b75700000200002800c0001005f5f73657425640008000200000000010800040000000007",
      { kind: "lookup", register, set: "__set%d", setId: 7, isInverted: false },
    ],
    [
      "2c0001800c000100636f756e746572001c0002800c00010000000000000005dc0c0002000000000000000002",
      { kind: "counter", packets: 2n, bytes: 1500n },
    ],
  ];
  test.each(table)("%s", (want, expression) => {
    expect(encode(expression).toHex()).toBe(want);
  });
});

const registers = fc.integer({ min: 1, max: 4 });
const values = fc.uint8Array({ minLength: 1, maxLength: 16 });
const counts = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const names = fc.stringMatching(/^[a-z][a-z0-9_-]{0,30}$/);
const anyExpression: fc.Arbitrary<Expression> = fc.oneof(
  fc.record({
    kind: fc.constant("payload" as const),
    base: fc.constantFrom("link" as const, "network" as const, "transport" as const),
    offset: fc.nat(255),
    bytes: fc.integer({ min: 1, max: 16 }),
    register: registers,
  }),
  fc.record({
    kind: fc.constant("cmp" as const),
    register: registers,
    operator: fc.constantFrom("==" as const, "!=" as const, "<" as const, ">=" as const),
    value: values,
  }),
  fc.record({
    kind: fc.constant("meta" as const),
    key: fc.constantFrom("protocol" as const, "mark" as const, "oifname" as const, "l4proto" as const),
    direction: fc.constantFrom("load" as const, "set" as const),
    register: registers,
  }),
  values.chain((mask) =>
    fc.record({
      kind: fc.constant("bitwise" as const),
      register: registers,
      mask: fc.constant(mask),
      xor: fc.uint8Array({ minLength: mask.length, maxLength: mask.length }),
    }),
  ),
  fc.record({ kind: fc.constant("immediate" as const), register: registers, value: values }),
  fc.record({ kind: fc.constant("verdict" as const), verdict: fc.constantFrom("accept" as const, "return" as const) }),
  fc.record({
    kind: fc.constant("verdict" as const),
    verdict: fc.constantFrom("jump" as const, "goto" as const),
    chain: names,
  }),
  fc.record({ kind: fc.constant("ct" as const), key: fc.constant("state" as const), register: registers }),
  fc.tuple(values, fc.boolean(), registers).map(([from, isInverted, register]) => ({
    kind: "range" as const,
    register,
    from,
    to: from.toReversed(),
    isInverted,
  })),
  fc.record({ kind: fc.constant("counter" as const), packets: counts, bytes: counts }),
  fc.record({ kind: fc.constant("lookup" as const), register: registers, set: names, isInverted: fc.boolean() }),
);

test("what is written is read back", () => {
  fc.assert(
    fc.property(fc.array(anyExpression, { maxLength: 8 }), (expressions) => {
      const encoder = new AttributeEncoder();
      for (const expression of expressions) encodeExpression(encoder, expression);
      expect(decode(encoder.finish())).toEqual(expressions);
    }),
  );
});

const variants: readonly [string, string, (data: AttributeEncoder) => void][] = [
  ["a kind without a word here", "ftp", () => undefined],
  ["a payload that is written", "payload", (data) => (data.be32(2, 1), data.be32(5, 1))],
  ["a comparison of unknown sort", "cmp", (data) => (data.be32(1, 1), data.be32(2, 99))],
  ["a shift", "bitwise", (data) => (data.be32(1, 1), data.be32(2, 1), data.be32(6, 1))],
  ["another property of a connection", "ct", (data) => (data.be32(1, 1), data.be32(2, 5))],
  ["half a range", "range", (data) => (data.be32(1, 1), data.be32(2, 0))],
  ["another use of fib", "fib", (data) => (data.be32(1, 1), data.be32(2, 1), data.be32(3, 2))],
  ["a verdict of unknown sort", "immediate", (data) => (data.be32(1, 0), data.nested(2, () => undefined))],
];
test.each(variants)("%s is unknown", (_, name, fill) => {
  const encoder = new AttributeEncoder();
  encoder.nested(1, (element) => {
    element.text(1, name);
    element.nested(2, fill);
  });
  expect(decode(encoder.finish())).toEqual([{ kind: "unknown", name }]);
});

test("random bytes never throw, and at worst stick in the decoder", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (random) => void decodeExpressions(new AttributeDecoder(random))),
  );
});
