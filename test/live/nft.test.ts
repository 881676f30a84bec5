import { afterEach, describe, expect, test } from "vitest";
import { parseIp, type Ip } from "../../src/ip/address.ts";
import { parseMac } from "../../src/ip/mac.ts";
import { parsePrefix, type Prefix } from "../../src/ip/prefix.ts";
import { rangeBetween, rangeOfPrefix, type IpRange } from "../../src/ip/range.ts";
import { CLONE_NEWNET, unshare } from "../../src/libc/namespace.ts";
import { isNftError, type NftError } from "../../src/nft/error.ts";
import type { Family } from "../../src/nft/family.ts";
import * as m from "../../src/nft/match.ts";
import { Nft } from "../../src/nft/nft.ts";
import { chain, rule, table } from "../../src/nft/object.ts";
import * as s from "../../src/nft/statement.ts";
import { Transaction } from "../../src/nft/transaction.ts";
import { runCommand } from "../kit/command.ts";
import { useDisposable } from "../kit/hooks.ts";

// This worker thread gets a network namespace of its own, which ends with it; nft(8) as its child works on the same.
unshare(CLONE_NEWNET);
const opened = useDisposable(() => Nft.open("test"));
afterEach(() => void runCommand(["nft", "flush", "ruleset"]));

function ip(text: string): Ip {
  return parseIp(text) ?? expect.fail(text);
}

function prefix(text: string): Prefix {
  return parsePrefix(text) ?? expect.fail(text);
}

/** What nft(8) knows, without handles, which differ from run to run. */
function listed(): unknown {
  const text = runCommand(["nft", "-j", "list", "ruleset"]);
  return JSON.parse(text, (key, value: unknown) => (key === "handle" ? undefined : value));
}

function range(first: string, last = first): IpRange {
  return rangeBetween(ip(first), ip(last)) ?? expect.fail(`${first}-${last}`);
}

function network(text: string): IpRange {
  return rangeOfPrefix(prefix(text));
}

function failureOf(body: () => unknown): NftError {
  try {
    body();
  } catch (error) {
    if (isNftError(error)) return error;
    throw error;
  }
  throw new Error("it should have failed");
}

const nat = { type: "nat", hook: "prerouting", priority: -100 } as const;
const sourceNat = { type: "nat", hook: "postrouting", priority: 100 } as const;
const both: readonly Family[] = ["ip", "inet"];

describe("a rule made here is the rule that nft(8) makes of its text", () => {
  const mac = parseMac("02:00:5e:10:00:01") ?? new Uint8Array();
  const cases: readonly [families: readonly Family[], base: typeof nat | typeof sourceNat, s.Statement[]][] = [
    [both, sourceNat, [s.sourceIn(prefix("10.1.2.3/32")), s.destinationIn(prefix("10.1.2.3/24"), "!="), s.masquerade]],
    [both, sourceNat, [s.destinationIn(prefix("224.0.0.0/4")), s.goBack]],
    [both, sourceNat, [s.destinationIn(prefix("10.1.2.128/25"), "!="), s.accept]],
    [both, sourceNat, [s.sourceIn(prefix("10.1.2.3/31")), s.snat(ip("192.0.2.1"))]],
    [both, nat, [s.toThisHost, s.destinationPort("tcp", [80]), s.dnat(ip("10.1.2.3"), 8080)]],
    [both, nat, [s.destinationIn(prefix("192.0.2.1/32")), s.destinationPort("udp", [53, 54]), s.dnat(ip("10.1.2.3"))]],
    [both, nat, [s.destinationPort("sctp", [1, 2, 3], "!="), s.counter]],
    [
      ["ip6", "inet"],
      sourceNat,
      [s.sourceIn(prefix("fd00::2/128")), s.destinationIn(prefix("fd00::/63"), "!="), s.masquerade],
    ],
    [["ip6", "inet"], sourceNat, [s.destinationIn(prefix("ff00::/8")), s.goBack]],
    [["ip6", "inet"], nat, [s.destinationPort("tcp", [443]), s.dnat(ip("fd00::2"), 443)]],
    [["ip", "ip6", "inet", "bridge"], nat, [s.markedWith(0x2000), s.setMarkBits(0x4000), s.accept]],
    [["ip", "ip6", "inet", "bridge"], nat, [s.fromInterface("veth0"), s.jump({ name: "other" })]],
    [["ip", "ip6", "inet"], sourceNat, [s.toInterface("eth0", "!="), s.goTo({ name: "other" })]],
    [["bridge"], nat, [s.etherSource(mac), s.goBack]],
    [["bridge"], nat, [s.etherSource(mac, "!="), s.drop]],
    [["bridge"], nat, [s.sourceIn(prefix("10.0.0.0/8")), s.destinationIn(prefix("10.0.0.1/32")), s.accept]],
    [["bridge"], nat, [s.sourceIn(prefix("fd00::/64")), s.accept]],
    [both, nat, [m.addressAmong("saddr", [network("10.0.0.0/8")]), s.accept]],
    [both, nat, [m.addressAmong("saddr", [range("10.0.0.1", "10.0.0.9")]), s.accept]],
    [both, nat, [m.addressAmong("daddr", [range("10.0.0.1", "10.0.0.9")], "!="), s.accept]],
    [both, nat, [m.addressAmong("daddr", [range("10.0.0.9"), range("10.0.0.1"), range("10.0.0.1")]), s.accept]],
    [both, nat, [m.addressAmong("saddr", [network("192.168.0.0/16"), network("10.0.0.0/8")], "!="), s.accept]],
    [both, nat, [m.addressAmong("saddr", [network("10.0.0.0/9"), network("10.128.0.0/9")]), s.accept]],
    [both, nat, [m.addressAmong("saddr", [network("0.0.0.0/8"), network("240.0.0.0/4"), range("10.0.0.1")]), s.accept]],
    [["ip6", "inet"], nat, [m.addressAmong("saddr", [network("fd00::/8"), range("::1")], "!="), s.accept]],
    [["ip6", "inet"], nat, [m.addressAmong("daddr", [range("fd00::1", "fd00::9")]), s.accept]],
    [both, nat, [m.portAmong("tcp", "sport", [{ first: 1024, last: 65_535 }]), s.accept]],
    [both, nat, [m.portAmong("udp", "sport", [{ first: 1024, last: 2000 }], "!="), s.accept]],
    [both, nat, [m.portAmong("udp", "dport", [{ first: 53, last: 53 }], "!="), s.accept]],
    [
      both,
      nat,
      [
        m.portAmong("tcp", "dport", [
          { first: 80, last: 80 },
          { first: 1024, last: 2000 },
          { first: 65_535, last: 65_535 },
        ]),
        s.destinationPort("tcp", [80]),
        s.dnat(ip("10.1.2.3"), 80),
      ],
    ],
    [both, nat, [m.transportAmong(["tcp"]), s.destinationPort("tcp", [80]), s.dnat(ip("10.1.2.3"), 80)]],
    [both, nat, [m.transportAmong(["tcp", "udp"]), s.accept]],
    [both, nat, [m.transportAmong(["udp", "tcp"], "!="), s.accept]],
    [both, nat, [m.transportAmong(["sctp"], "!="), s.accept]],
    [both, nat, [m.interfaceAmong("iifname", ["eth1", "eth0"]), s.accept]],
    [both, nat, [m.interfaceAmong("oifname", ["eth0", "eth1"], "!="), s.accept]],
    [both, nat, [m.interfaceAmong("iifname", ["veth*"], "!="), s.accept]],
    [both, nat, [m.interfaceAmong("iifname", ["veth*"]), m.interfaceAmong("oifname", ["eth0"], "!="), s.accept]],
    [both, nat, [m.markIs(0x10, undefined), m.markIs(0x10, undefined, "!="), s.accept]],
    [both, nat, [m.markIs(0x10, 0xff), m.markIs(0, 0x80, "!="), s.accept]],
    [both, nat, [m.connectionStateAmong(["new"]), m.connectionStateAmong(["established", "related"]), s.accept]],
    [both, nat, [m.connectionStateAmong(["invalid"], "!="), m.connectionStateAmong(["untracked", "new"], "!=")]],
  ];
  const rows = cases.flatMap(([families, base, statements]) =>
    families.map((family) => ({ family, base, statements })),
  );

  test.each(rows.map((row) => [`${row.family}: ${row.statements.map((one) => one.print(row.family)).join(" ")}`, row]))(
    "%s",
    (_, { family, base, statements }) => {
      const nft = opened();
      const home = table(family, "here", "the table");
      const first = chain(home, "first", { base: family === "bridge" ? { ...base, type: "filter" } : base });
      const transaction = new Transaction()
        .add(home)
        .add(chain(home, "other", { comment: "the other chain" }))
        .add(first)
        .add(rule(first, statements, "the rule"));
      nft.run(transaction);
      const [ours, oursListed] = [nft.rules(home).map((one) => one.expressions), listed()];
      nft.run(new Transaction().delete(home));
      runCommand(["nft", "-f", "-"], { stdin: String(transaction) });
      const [theirs, theirsListed] = [nft.rules(home).map((one) => one.expressions), listed()];
      nft.run(new Transaction().delete(home));
      expect(ours).toEqual(theirs);
      expect(oursListed).toEqual(theirsListed);
    },
  );
});

test("a rule's tag is kept beside its comment, and nft(8) shows the comment alone", () => {
  const home = table("ip", "home");
  const first = chain(home, "first");
  const words = [
    ["why", "whose"],
    [undefined, "whose"],
    ["why", undefined],
    ["c".repeat(128), "t".repeat(120)],
  ] as const;
  const transaction = new Transaction().add(home).add(first);
  for (const [comment, tag] of words) transaction.add(rule(first, [s.accept], comment, tag));
  opened().run(transaction);
  expect(opened().rules(first)).toMatchObject(
    words.map(([comment, tag]) => ({
      ...(comment === undefined ? {} : { comment }),
      ...(tag === undefined ? {} : { tag }),
    })),
  );
  expect(runCommand(["nft", "list", "chain", "ip", "home", "first"]).match(/accept.*/g)).toEqual([
    'accept comment "why"',
    "accept",
    'accept comment "why"',
    `accept comment "${"c".repeat(128)}"`,
  ]);
  const tooLong = new Transaction().add(rule(first, [s.accept], "", "t".repeat(121)));
  expect(tooLong.fault?.message).toContain("a tag of 121 bytes exceeds 120");
});

describe("a transaction", () => {
  const home = table("ip", "home");
  const first = chain(home, "first");

  test("happens as a whole or not at all, and the error names the line that failed", () => {
    const before = listed();
    const transaction = new Transaction()
      .add(home)
      .add(first)
      .add(rule(first, [s.accept]))
      .add(rule(first, [s.jump({ name: "nowhere" })]))
      .add(rule(chain(home, "neither"), [s.accept]));
    expect(failureOf(() => opened().run(transaction))).toMatchObject({
      code: "ENOENT",
      operation: "add rule ip home first jump nowhere",
      message: expect.stringMatching(/^nft add rule ip home first jump nowhere: no such file or directory/),
    });
    expect(listed()).toEqual(before);
  });

  test("leaves a chain alone that is there already, and refuses to change what it is", () => {
    const nft = opened();
    const base = chain(home, "base", { base: sourceNat });
    const made = new Transaction()
      .add(home)
      .add(base)
      .add(rule(base, [s.accept]));
    nft.run(made);
    nft.run(new Transaction().add(home).add(base));
    expect(nft.rules(home)).toHaveLength(1);
    const other = chain(home, "base", { base: { ...sourceNat, priority: 99 } });
    expect(failureOf(() => nft.run(new Transaction().add(other)))).toMatchObject({
      code: expect.stringMatching(/^(EEXIST|EOPNOTSUPP)$/),
    });
  });

  test("flushes chains and tables, and deletes rules by their handles", () => {
    const nft = opened();
    const second = chain(home, "second");
    const fill = new Transaction().add(home).add(first).add(second);
    for (const comment of ["a-1", "b-1", "a-2"]) fill.add(rule(first, [s.accept], comment));
    nft.run(fill.add(rule(second, [s.drop])));
    const comments = () => nft.rules(first).map((one) => one.comment);

    const some = nft.rules(home).filter((one) => one.comment?.startsWith("a-"));
    nft.run(some.reduce((transaction, one) => transaction.delete(one), new Transaction()));
    expect(comments()).toEqual(["b-1"]);
    nft.run(new Transaction().flush(first));
    expect([comments(), nft.rules(home).length]).toEqual([[], 1]);
    nft.run(new Transaction().flush(home));
    expect(nft.rules(home)).toEqual([]);
    expect(nft.chains(home).map(({ name }) => name)).toEqual(["first", "second"]);
    nft.run(new Transaction().delete(second));
    expect([nft.hasChain(first), nft.hasChain(second)]).toEqual([true, false]);
    nft.run(new Transaction().delete(home));
    expect(nft.tables()).toEqual([]);
  });

  test("of a thousand rules fits one batch", () => {
    const nft = opened();
    const transaction = new Transaction().add(home).add(first);
    for (let n = 0; n < 1000; n++) transaction.add(rule(first, [s.sourceIn(prefix("10.0.0.1/32")), s.accept], `${n}`));
    nft.run(transaction);
    expect(nft.rules(home).at(-1)).toMatchObject({ comment: "999" });
  });

  test("that could not be built, or is empty, never reaches the kernel", () => {
    const nft = opened();
    expect(failureOf(() => nft.run(new Transaction().add(table("ip", ""))))).toMatchObject({ code: "invalid" });
    nft.run(new Transaction());
  });
});

describe("an update", () => {
  const other = (name: string) => new Transaction().add(table("ip", name));

  test("plans again when somebody else came first", () => {
    const nft = opened();
    using stranger = Nft.open("stranger");
    const seen: number[] = [];
    nft.update(() => {
      seen.push(nft.tables().length);
      if (seen.length < 3) stranger.run(other(`stranger${seen.length}`));
      return other("ours");
    });
    expect(seen).toEqual([0, 1, 2]);
    expect(nft.tables("ip").map(({ name }) => name)).toEqual(["stranger1", "stranger2", "ours"]);
  });

  test("gives up with EAGAIN when that never ends", () => {
    const nft = opened();
    using stranger = Nft.open("stranger");
    let count = 0;
    const plan = () => {
      stranger.run(other(`t${count++}`));
      return other("ours");
    };
    expect(failureOf(() => nft.update(plan))).toMatchObject({ code: "EAGAIN" });
    expect(nft.tables().some(({ name }) => name === "ours")).toBe(false);
  });
});

test("rules are listed by chain, by table and family, or all of them", () => {
  const nft = opened();
  const homes = (["ip", "ip6", "inet"] as const).map((family) => table(family, "home"));
  const fill = new Transaction();
  for (const home of homes) {
    for (const name of ["a", "b"])
      fill
        .add(home)
        .add(chain(home, name))
        .add(rule(chain(home, name), [s.accept], name));
  }
  nft.run(fill);
  const shown = (of?: Parameters<Nft["rules"]>[0]) =>
    nft.rules(of).map((one) => `${one.chain.table.family} ${one.chain.name} ${one.comment}`);
  for (const home of homes) {
    expect(shown(home)).toEqual([`${home.family} a a`, `${home.family} b b`]);
    expect(shown(chain(home, "b"))).toEqual([`${home.family} b b`]);
  }
  expect(shown()).toHaveLength(6);
  expect([
    shown(table("ip", "none")),
    shown(chain(table("ip", "home"), "none")),
    shown(table("bridge", "home")),
  ]).toEqual([[], [], []]);
});

test("rules of others are listed too, with what is unknown here named as unknown", () => {
  const script = [
    "add table ip strange",
    "add chain ip strange c { type filter hook input priority 0; }",
    'add rule ip strange c ct state established limit rate 1/second accept comment "odd"',
    "add rule ip strange c meta mark set meta mark lshift 2 ip ttl set 1",
  ];
  runCommand(["nft", "-f", "-"], { stdin: script.join("\n") });
  const rules = opened().rules(table("ip", "strange"));
  expect(rules[0]).toMatchObject({
    comment: "odd",
    expressions: expect.arrayContaining([{ kind: "unknown", name: "limit" }]),
  });
  expect(rules[1]?.expressions).toContainEqual({ kind: "unknown", name: "bitwise" });
  expect(rules[1]?.expressions).toContainEqual({ kind: "unknown", name: "payload" });
});

test("rules of iptables show their extensions", () => {
  const rule = ["-t", "nat", "-A", "POSTROUTING", "-m", "comment", "--comment", "why", "-j", "MASQUERADE"];
  runCommand(["iptables", ...rule]);
  const [listed] = opened().rules(chain(table("ip", "nat"), "POSTROUTING"));
  const extensions = listed?.expressions.filter((one) => one.kind === "match" || one.kind === "target");
  expect(extensions).toMatchObject([{ extension: "comment" }, { extension: "MASQUERADE" }]);
});
