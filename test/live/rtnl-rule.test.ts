import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseIp } from "../../src/ip/address.ts";
import { parseMac } from "../../src/ip/mac.ts";
import { parsePrefix } from "../../src/ip/prefix.ts";
import {
  FR_ACT_BLACKHOLE,
  FR_ACT_TO_TBL,
  NTF_PROXY,
  NUD_PERMANENT,
  NUD_STALE,
  RTPROT_STATIC,
} from "../../src/rtnl/constants.ts";
import { createLink, type Link } from "../../src/rtnl/link.ts";
import { addNeighbour, deleteNeighbour, listNeighbours, replaceNeighbour } from "../../src/rtnl/neighbour.ts";
import { addRule, deleteRule, listRules, type RuleSpec } from "../../src/rtnl/rule.ts";
import type { Rtnl } from "../../src/rtnl/rtnl.ts";
import { NodeNetns } from "../kit/node-netns.ts";
import { rtnlIn } from "../kit/rtnl-in.ts";

let node: NodeNetns;
let rtnl: Rtnl;
let net1: Link;

beforeAll(() => {
  node = new NodeNetns();
  rtnl = rtnlIn(node.path);
  net1 = createLink(rtnl, { name: "net1", data: { kind: "bridge" }, up: true });
});
afterAll(() => {
  rtnl[Symbol.dispose]();
  node[Symbol.dispose]();
});

/** What iproute2 says. */
function oracle(...words: string[]): Record<string, unknown>[] {
  return JSON.parse(node.run("ip", "-j", ...words) || "[]") as Record<string, unknown>[];
}

const rules: readonly [string, RuleSpec, Record<string, unknown>][] = [
  [
    "from an address to a table",
    { family: 4, priority: 100, source: parsePrefix("10.1.2.3/32"), table: 100 },
    { priority: 100, src: "10.1.2.3", table: "100" },
  ],
  [
    "to a network, a table above 255",
    { family: 4, priority: 101, destination: parsePrefix("10.9.0.0/16"), table: 70_000 },
    { priority: 101, src: "all", dst: "10.9.0.0", dstlen: 16, table: "70000" },
  ],
  [
    "by mark, mask and devices",
    { family: 4, priority: 102, mark: 0x20, markMask: 0xf0, inputDevice: "net1", outputDevice: "lo", table: 5 },
    { priority: 102, fwmark: "0x20", fwmask: "0xf0", iif: "net1", oif: "lo", table: "5" },
  ],
  [
    "of family 6, inverted, without default routes",
    {
      family: 6,
      priority: 103,
      source: parsePrefix("2001:db8::/32"),
      table: 254,
      invert: true,
      suppressPrefixLength: 0,
    },
    { priority: 103, not: null, src: "2001:db8::", srclen: 32, table: "main", suppress_prefixlen: 0 },
  ],
  [
    "that drops, with its maker's protocol",
    { family: 4, priority: 104, source: parsePrefix("10.8.0.0/16"), action: FR_ACT_BLACKHOLE, protocol: RTPROT_STATIC },
    { priority: 104, src: "10.8.0.0", srclen: 16, action: "blackhole", protocol: "static" },
  ],
  [
    "that jumps",
    { family: 4, priority: 99, source: parsePrefix("10.7.0.0/16"), goto: 100 },
    { priority: 99, src: "10.7.0.0", goto: 100 },
  ],
];

describe("rules", () => {
  test.each(rules)("%s", (_, spec, want) => {
    rtnl.run(addRule(spec));
    const found = oracle(`-${spec.family}`, "rule", "show", "pref", String(spec.priority));
    expect(found).toMatchObject([want]);
    const [rule] = listRules(rtnl, spec.family).filter(({ priority }) => priority === spec.priority);
    expect(rule).toMatchObject(spec);
    if (rule === undefined) return;
    expect(() => rtnl.run(addRule(rule))).toThrow("file exists");
    rtnl.run(deleteRule(rule));
    expect(() => rtnl.run(deleteRule(rule))).toThrow("no such file or directory");
  });

  test("those of a fresh namespace come in order", () => {
    expect(listRules(rtnl).map(({ family, priority, table, action }) => [family, priority, table, action])).toEqual([
      [4, 0, 255, FR_ACT_TO_TBL],
      [4, 32_766, 254, FR_ACT_TO_TBL],
      [4, 32_767, 253, FR_ACT_TO_TBL],
      [6, 0, 255, FR_ACT_TO_TBL],
      [6, 32_766, 254, FR_ACT_TO_TBL],
    ]);
  });

  test("an error says which rule", () => {
    const spec: RuleSpec = { family: 4, priority: 7, source: parsePrefix("10.1.0.0/16"), mark: 5, table: 9 };
    expect(() => rtnl.run(deleteRule(spec))).toThrow(
      "delete IPv4 rule 7 from 10.1.0.0/16 fwmark 5 table 9: no such file or directory",
    );
  });
});

describe("neighbours", () => {
  const mac = parseMac("02:00:5e:10:00:01");
  const other = parseMac("02:00:5e:10:00:02");

  test.each(["10.1.2.1", "2001:db8::1"])("%s: add, read, replace, delete", (text) => {
    const ip = parseIp(text);
    if (ip === undefined) throw new Error(text);
    const spec = { device: net1, ip, mac };
    const read = () => listNeighbours(rtnl, { device: net1, family: ip.family });
    rtnl.run(addNeighbour(spec));
    expect(oracle("neigh", "show", "dev", "net1")).toMatchObject([
      { dst: text, lladdr: "02:00:5e:10:00:01", state: ["PERMANENT"] },
    ]);
    expect(read()).toEqual([{ device: net1.index, ip, mac, state: NUD_PERMANENT, flags: 0 }]);
    expect(() => rtnl.run(addNeighbour(spec))).toThrow(`add neighbour ${text} dev net1: file exists`);
    rtnl.run(replaceNeighbour({ ...spec, mac: other, state: NUD_STALE }));
    expect(read()).toMatchObject([{ ip, mac: other, state: NUD_STALE }]);
    rtnl.run(deleteNeighbour(spec));
    // A deleted entry lingers as failed until its last user lets go of it.
    expect(read().filter(({ state }) => state === NUD_STALE)).toEqual([]);
  });

  test("a proxy entry is a list of its own, and deleting what is not there is ENOENT", () => {
    const ip = parseIp("10.5.5.5");
    if (ip === undefined) throw new Error("unreachable");
    rtnl.run(addNeighbour({ device: net1, ip, flags: NTF_PROXY }));
    expect(listNeighbours(rtnl, { device: net1, family: 4, proxies: true })).toMatchObject([{ ip, flags: NTF_PROXY }]);
    expect(listNeighbours(rtnl, { device: net1, family: 4 }).filter((found) => found.ip.value === ip.value)).toEqual(
      [],
    );
    rtnl.run(deleteNeighbour({ device: net1, ip, flags: NTF_PROXY }));
    expect(() => rtnl.run(deleteNeighbour({ device: net1, ip, flags: NTF_PROXY }))).toThrow(
      "delete neighbour 10.5.5.5 dev net1: no such file or directory",
    );
  });
});
