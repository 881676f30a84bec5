import { describe, expect, test } from "vitest";
import { compact, prefix, reply, type Row, survivesHostility, wire } from "./bytes.test-data.ts";
import { addRule, decodeRule, deleteRule } from "./rule.ts";

const rows: readonly Row[] = [
  [
    "from an address, with zeros that are sent",
    addRule({ family: 4, priority: 0, source: prefix("10.1.2.3/32"), table: 100, mark: 0, protocol: 4 }),
    "32/600 02002000 64000001 00000000  08000200 0a010203  08000600 00000000  08000a00 00000000  05001500 04000000",
  ],
  [
    "the rest, in family 6 and a table above 255",
    deleteRule({
      family: 6,
      destination: prefix("2001:db8::/32"),
      table: 1000,
      inputDevice: "net1",
      outputDevice: "lo",
      markMask: 255,
      invert: true,
      suppressPrefixLength: 0,
      l3mdev: true,
      tos: 16,
    }),
    `33/0 0a200010 00000001 02000000
     14000100 20010db8 00000000 00000000 00000000
     09000300 6e65743100000000
     07001100 6c6f0000
     08000f00 e8030000
     08001000 ff000000
     08000e00 00000000
     05001300 01000000`,
  ],
  ["a jump is its action", addRule({ family: 4, goto: 200 }), "32/600 02000000 00000002 00000000  08000400 c8000000"],
  [
    "from everywhere is no attribute",
    addRule({ family: 4, source: prefix("0.0.0.0/0"), destination: prefix("0.0.0.0/0"), table: 5 }),
    "32/600 02000000 05000001 00000000",
  ],
];

describe("rule messages", () => {
  test.each(rows)("%s", (_, request, want) => {
    expect(wire(request)).toBe(compact(want));
  });

  test("an answer is read whole", () => {
    const message = reply(`02002000 fc000001 02000000
      08000f00 e8030000  08000e00 ffffffff  08000200 0a010203  08000600 64000000  08000a00 20000000  08001000 f0000000
      09000300 6e65743100000000  05001300 01000000  05001500 04000000`);
    expect(decodeRule(message, "list")).toEqual({
      family: 4,
      priority: 100,
      source: prefix("10.1.2.3/32"),
      destination: undefined,
      inputDevice: "net1",
      outputDevice: undefined,
      mark: 32,
      markMask: 240,
      tos: 0,
      table: 1000,
      action: 1,
      goto: undefined,
      invert: true,
      l3mdev: true,
      suppressPrefixLength: undefined,
      protocol: 4,
    });
  });

  test("hostile messages end in EBADMSG at worst", () => {
    survivesHostility((message) => decodeRule(message, "list"));
  });
});
