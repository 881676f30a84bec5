import { describe, expect, test } from "vitest";
import { formatPrefix } from "../../ip/prefix.ts";
import type { ListedExpression } from "../../nft/expression.ts";
import { chain, table } from "../../nft/object.ts";
import { parseNat, quote, readNatRule, type NatRule } from "./nat-rules.ts";

/** A rule without its handle, and with its prefixes as text, which reads better. */
function shown({ chain, target, source, destination, comment }: NatRule<unknown>): object {
  return {
    chain,
    target,
    ...(source === undefined ? {} : { source: formatPrefix(source) }),
    ...(destination === undefined ? {} : { destination: formatPrefix(destination) }),
    ...(comment === undefined ? {} : { comment }),
  };
}

test("the list of iptables -S is read with chains, sources, destinations, comments and targets", () => {
  const text = String.raw`-P POSTROUTING ACCEPT
-N CNI-85373d34c6846b6c53ee2e7f
-A POSTROUTING -s 10.1.2.2/32 -m comment --comment "name: \"net1\" id: \"ctr1\"" -j CNI-85373d34c6846b6c53ee2e7f
-A POSTROUTING ! -s 10.1.2.3/32 -d 10.0.0.0/8 -g other
-A CNI-85373d34c6846b6c53ee2e7f ! -d 224.0.0.0/4 -m comment --comment single -j MASQUERADE
-A INPUT -p tcp
`;
  const { chains, rules } = parseNat(text);
  expect(chains).toEqual(["CNI-85373d34c6846b6c53ee2e7f"]);
  expect(rules.map(shown)).toEqual([
    {
      chain: "POSTROUTING",
      target: "CNI-85373d34c6846b6c53ee2e7f",
      source: "10.1.2.2/32",
      comment: 'name: "net1" id: "ctr1"',
    },
    { chain: "POSTROUTING", target: "other", destination: "10.0.0.0/8" },
    { chain: "CNI-85373d34c6846b6c53ee2e7f", target: "MASQUERADE", comment: "single" },
    { chain: "INPUT", target: "" },
  ]);
  // The handle is what -D takes, quotes and all.
  expect(rules[0]?.handle).toBe(text.split("\n")[2]?.slice(3));
  expect(parseNat("")).toEqual({ chains: [], rules: [] });
});

const quoted: readonly [string, string][] = [
  ["plain", '"plain"'],
  ['name: "a"', String.raw`"name: \"a\""`],
  [String.raw`back\slash`, String.raw`"back\\slash"`],
];
test.each(quoted)("%j is quoted for iptables-restore as %s, and read back", (text, want) => {
  expect(quote(text)).toBe(want);
  expect(parseNat(`-A C --comment ${want}`).rules[0]?.comment).toBe(text);
});

describe("a rule of iptables-nft is read from its expressions", () => {
  const register = 1;
  const bytes = (hex: string) => Uint8Array.fromHex(hex);
  const payload = (offset: number, length: number): ListedExpression => ({
    kind: "payload",
    base: "network",
    offset,
    bytes: length,
    register,
  });
  const equals = (hex: string): ListedExpression => ({ kind: "cmp", register, operator: "==", value: bytes(hex) });
  const differs = (hex: string): ListedExpression => ({ kind: "cmp", register, operator: "!=", value: bytes(hex) });
  const mask = (hex: string): ListedExpression => {
    return { kind: "bitwise", register, mask: bytes(hex), xor: new Uint8Array(hex.length / 2) };
  };
  const comment: ListedExpression = { kind: "match", extension: "comment", info: bytes(`6869${"00".repeat(254)}`) };
  const cases: readonly [string, "ip" | "ip6", ListedExpression[], object][] = [
    [
      "a jump",
      "ip",
      [payload(12, 4), equals("0a010202"), comment, { kind: "verdict", verdict: "jump", chain: "CNI-x" }],
      { source: "10.1.2.2/32", comment: "hi", target: "CNI-x" },
    ],
    ["whole bytes", "ip", [payload(16, 3), equals("0a0102")], { destination: "10.1.2.0/24", target: "" }],
    [
      "a mask",
      "ip",
      [payload(16, 4), mask("f0000000"), equals("e0000000")],
      { destination: "224.0.0.0/4", target: "" },
    ],
    [
      "the contrary",
      "ip",
      [
        payload(16, 4),
        mask("f0000000"),
        differs("e0000000"),
        { kind: "target", extension: "MASQUERADE", info: bytes("") },
      ],
      { target: "MASQUERADE" },
    ],
    [
      "IPv6",
      "ip6",
      [payload(8, 8), equals("fd00000100000000"), { kind: "verdict", verdict: "accept" }],
      { source: "fd00:1::/64", target: "ACCEPT" },
    ],
    ["nothing of interest", "ip", [{ kind: "unknown", name: "ct" }, { kind: "masq" }], { target: "MASQUERADE" }],
  ];
  test.each(cases)("%s", (_, family, expressions, want) => {
    const place = chain(table(family, "nat"), "C");
    const rule = readNatRule({
      kind: "listed rule",
      chain: place,
      handle: 1n,
      expressions,
      encoded: new Uint8Array(0),
    });
    expect(shown(rule)).toEqual({ chain: "C", ...want });
  });
});
