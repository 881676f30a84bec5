import { describe, expect, test } from "vitest";
import { parseIp, type Ip } from "../ip/address.ts";
import { parsePrefix, type Prefix } from "../ip/prefix.ts";
import { frame, messagesOf } from "./batch.ts";
import { chain, rule, table, type Chain, type Rule, type Table } from "./object.ts";
import * as s from "./statement.ts";
import { Transaction } from "./transaction.ts";

function ip(text: string): Ip {
  return parseIp(text) ?? expect.fail(text);
}

function prefix(text: string): Prefix {
  return parsePrefix(text) ?? expect.fail(text);
}

const home = table("inet", "home", "where we live");
const entry = chain(home, "entry", { base: { type: "filter", hook: "input", priority: -5, policy: "drop" } });
const plain = chain(home, "plain", { comment: "no hook" });
const bridge = chain(table("bridge", "b"), "c");
const v6 = chain(table("ip6", "six"), "c");

test("a transaction prints as a script of nft", () => {
  const listed = {
    kind: "listed rule",
    chain: plain,
    handle: 7n,
    expressions: [],
    encoded: new Uint8Array(0),
  } as const;
  const transaction = new Transaction()
    .add(home)
    .add(entry)
    .add(plain)
    .flush(plain)
    .flush(home)
    .add(
      rule(entry, [s.sourceIn(prefix("10.1.2.3/24")), s.destinationPort("tcp", [443, 80, 80]), s.jump(plain)], "why"),
    )
    .add(rule(entry, [s.fromInterface("veth*")]))
    .add(rule(plain, [s.destinationIn(prefix("fd00::1/128"), "!="), s.counter, s.goBack]))
    .delete(listed)
    .delete(plain)
    .delete(home);
  expect(String(transaction).split("\n")).toEqual([
    'add table inet home { comment "where we live"; }',
    "add chain inet home entry { type filter hook input priority -5; policy drop; }",
    'add chain inet home plain { comment "no hook"; }',
    "flush chain inet home plain",
    "flush table inet home",
    'add rule inet home entry ip saddr 10.1.2.0/24 tcp dport { 80, 443 } jump plain comment "why"',
    'add rule inet home entry iifname "veth\\*"',
    "add rule inet home plain ip6 daddr != fd00::1 counter packets 0 bytes 0 return",
    "delete rule inet home plain handle 7",
    "delete chain inet home plain",
    "delete table inet home",
  ]);
  expect([String(new Transaction()), new Transaction().isEmpty, transaction.isEmpty]).toEqual(["", true, false]);
});

describe("what can't be is refused before anything is sent", () => {
  const cases: readonly [Table | Chain | Rule, string][] = [
    [table("ip", ""), '"" is not a name of 1 to 255 bytes'],
    [table("ip", "x".repeat(256)), "is not a name of 1 to 255 bytes"],
    [chain(home, "a\0b"), "is not a name of 1 to 255 bytes"],
    [rule(chain(table("ip", ""), "c"), [s.accept]), '"" is not a name of 1 to 255 bytes'],
    [table("ip", "t", 'say "x"'), "neither double quotes"],
    [rule(plain, [s.accept], "x".repeat(129)), "a comment of 129 bytes exceeds 128"],
    [rule(plain, [s.fromInterface("")]), '"" is not an interface name of 1 to 15 bytes'],
    [rule(plain, [s.toInterface("0123456789abcdef")]), '"0123456789abcdef" is not an interface name'],
    [rule(plain, [s.etherSource(new Uint8Array(6))]), "only be matched in family bridge"],
    [rule(bridge, [s.etherSource(new Uint8Array(8))]), "an Ethernet address has 6 bytes, not 8"],
    [rule(plain, [s.destinationPort("tcp", [])]), "a set must not be empty"],
    [rule(plain, [s.destinationPort("tcp", [65_536])]), "65536 is not a port of 0 to 65535"],
    [rule(plain, [s.destinationPort("tcp", [1]), s.destinationPort("udp", [1])]), "two transport protocols at once"],
    [rule(v6, [s.sourceIn(prefix("10.0.0.0/8"))]), "IPv4 in a rule where packets are IPv6"],
    [rule(plain, [s.sourceIn(prefix("10.0.0.0/8")), s.dnat(ip("fd00::1"))]), "IPv6 in a rule where packets are IPv4"],
    [rule(plain, [s.dnat(ip("10.0.0.1"), 80)]), "a port can only be mapped behind a match of its protocol"],
    [rule(plain, [s.destinationPort("tcp", [80]), s.snat(ip("10.0.0.1"), -1)]), "-1 is not a port"],
  ];
  test.each(cases.map(([object, want]) => [want, object] as const))("%s", (want, object) => {
    const transaction = new Transaction().add(home).add(object).add(plain).delete(home);
    expect(transaction.fault).toMatchObject({
      name: "NftError",
      code: "invalid",
      message: expect.stringContaining(want),
    });
    // The first fault stays, and what comes behind it is not collected.
    expect(transaction.operations).toHaveLength(1);
    expect(transaction.isEmpty).toBe(false);
  });
});

test("a rule's own set comes before the rule, each set with a number of its own", () => {
  const transaction = new Transaction()
    .add(rule(plain, [s.destinationPort("tcp", [1, 2]), s.accept]))
    .add(rule(plain, [s.destinationPort("udp", [3, 4], "!="), s.accept]));
  const messages = transaction.operations.map(messagesOf);
  // NFT_MSG_NEWSET, NFT_MSG_NEWSETELEM, NFT_MSG_NEWRULE
  expect(messages.map((each) => each.map(({ type }) => type & 0xff))).toEqual([
    [9, 12, 6],
    [9, 12, 6],
  ]);
  const ids = transaction.operations.flatMap((each) => (each.verb === "append" ? each.compiled.sets : []));
  expect(ids.map(({ id }) => id)).toEqual([1, 2]);
});

describe("messages (byte table of a little-endian machine)", () => {
  const base = chain(table("bridge", "nat"), "P", { base: { type: "filter", hook: "prerouting", priority: -300 } });
  const small = chain(table("ip", "t"), "c");
  const cases: readonly [string, Transaction, string][] = [
    [
      "add table",
      new Transaction().add(table("ip", "t", "x")),
      "02000000060001007400000008000200000000000800060000027800",
    ],
    [
      "add base chain",
      new Transaction().add(base),
      "07000000080001006e617400060003005000000014000480080001000000000008000200fffffed408000500000000010b00070066696c7465720000",
    ],
    [
      "add rule",
      new Transaction().add(rule(small, [s.accept], "x")),
      "020000000600010074000000060002006300000034000480300001800e000100696d6d6564696174650000001c0002800800010000000000100002800c00028008000100000000010800070000027800",
    ],
    ["flush chain", new Transaction().flush(small), "0200000006000100740000000600020063000000"],
    ["flush table", new Transaction().flush(small.table), "020000000600010074000000"],
    [
      "delete rule",
      new Transaction().delete({
        kind: "listed rule",
        chain: small,
        handle: 258n,
        expressions: [],
        encoded: new Uint8Array(0),
      }),
      "02000000060001007400000006000200630000000c0003000000000000000102",
    ],
    ["delete chain", new Transaction().delete(small), "0200000006000100740000000600030063000000"],
    ["delete table", new Transaction().delete(small.table), "020000000600010074000000"],
  ];
  test.each(cases)("%s", (_, transaction, want) => {
    const [message] = transaction.operations.flatMap(messagesOf);
    expect(message?.body.toHex()).toBe(want);
  });

  test("the edges of a batch", () => {
    expect(frame().begin).toMatchObject({ type: 0x10, body: Uint8Array.fromHex("0000000a") });
    expect(frame(7).begin.body.toHex()).toBe("0000000a0800010000000007");
    expect(frame(7).end).toMatchObject({ type: 0x11, body: Uint8Array.fromHex("0000000a") });
  });
});
