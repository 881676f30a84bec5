// sbr on a real kernel, behind the plugins that people chain it to: tables, rules and routes, the way packets take, and what is left.
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/json/value.ts";
import type { ChainCall } from "../kit/builtin-caller.ts";
import { diff } from "../kit/diff.ts";
import { ping } from "../kit/ping.ts";
import { fixedIpam, sbrChain, trimmedLines, useSbrSite } from "../kit/sbr-site.ts";
import { snapshot } from "../kit/snapshot.ts";

const site = useSbrSite({ nodes: 2 });

/** Device and gateway of the way from one address to another. */
const way = (from: string, to: string) =>
  /^\S+ from \S+ (.*?) (?:table|uid|metric|proto|cache)/.exec(
    trimmedLines(site.pod.run("ip", "route", "get", to, "from", from)).join(" "),
  )?.[1];

describe("the example of the users' documents", () => {
  const call = (): ChainCall => ({ plugins: sbrChain(fixedIpam(["21.0.111.1/21 via 21.0.111.254"])), pod: site.pod });

  test("leaves the pod's own routes alone, and has one table with a default route and one rule", async () => {
    site.addOtherInterface();
    const before = site.table("main");
    const result = await site.caller.addChain(call());
    expect(site.table("main")).toEqual(before);
    expect(site.table(100)).toEqual([
      "default via 21.0.111.254 dev net1",
      "21.0.104.0/21 dev net1 proto kernel scope link src 21.0.111.1",
    ]);
    expect(site.rules()).toEqual(["32765: from 21.0.111.1 lookup 100 proto 201"]);
    expect(way("21.0.111.1", "198.51.100.1")).toBe("via 21.0.111.254 dev net1");
    expect(way("10.244.1.2", "198.51.100.1")).toBe("via 10.244.1.1 dev eth0");
    await site.caller.checkChain({ ...call(), prevResult: result });
  });

  test("leaves nothing when it is deleted, with the result of ADD or without", async () => {
    site.addOtherInterface();
    const before = snapshot(site.pod.path);
    for (const withResult of [true, false]) {
      const result = await site.caller.addChain(call());
      await site.caller.delChain({ ...call(), ...(withResult ? { prevResult: result } : {}) });
      await site.caller.delChain(call());
      expect(diff(before, snapshot(site.pod.path))).toEqual([]);
    }
  });
});

describe("several addresses", () => {
  test("have a table each, with the routes of their family that are for them", async () => {
    const routes = [
      { dst: "172.31.0.0/16" },
      { dst: "172.30.0.0/16", gw: "198.51.100.9", priority: 50, mtu: 1300, advmss: 1200 },
      { dst: "2001:db8:9::/48", gw: "2001:db8::9", priority: 7 },
    ];
    const ips = ["192.0.2.5/24 via 192.0.2.1", "198.51.100.5/25", "2001:db8::5/64 via 2001:db8::1"];
    const call = { plugins: sbrChain(fixedIpam(ips, routes)), pod: site.pod };
    const result = await site.caller.addChain(call);
    expect(site.table("main")).toEqual([]);
    expect(site.table(100)).toEqual([
      "default via 192.0.2.1 dev net1",
      "172.31.0.0/16 via 192.0.2.1 dev net1",
      "192.0.2.0/24 dev net1 proto kernel scope link src 192.0.2.5",
    ]);
    expect(site.table(101)).toEqual([
      "default via 198.51.100.9 dev net1",
      "172.30.0.0/16 via 198.51.100.9 dev net1 metric 50 mtu 1300 advmss 1200",
      "198.51.100.0/25 dev net1 proto kernel scope link src 198.51.100.5",
    ]);
    expect(site.table(102)).toEqual([
      "2001:db8::/64 dev net1 proto kernel metric 256 pref medium",
      "2001:db8:9::/48 via 2001:db8::9 dev net1 metric 7 pref medium",
      "default via 2001:db8::1 dev net1 metric 1024 pref medium",
    ]);
    expect(site.rules()).toEqual([
      "32764: from 198.51.100.5 lookup 101 proto 201",
      "32765: from 192.0.2.5 lookup 100 proto 201",
      "32765: from 2001:db8::5 lookup 102 proto 201",
    ]);
    expect(result.routes.map((route) => route.table)).toEqual([100, 101, 102]);
    await site.caller.checkChain({ ...call, prevResult: result });
  });

  test("of one subnet share its routes", async () => {
    const call = {
      plugins: sbrChain(fixedIpam(["192.0.2.5/24 via 192.0.2.1", "192.0.2.6/24 via 192.0.2.2"])),
      pod: site.pod,
    };
    const result = await site.caller.addChain(call);
    const subnet = "192.0.2.0/24 dev net1 proto kernel scope link src 192.0.2.5";
    expect(site.table(100)).toEqual(["default via 192.0.2.1 dev net1", subnet]);
    expect(site.table(101)).toEqual(["default via 192.0.2.2 dev net1", subnet]);
    expect(way("192.0.2.6", "203.0.113.1")).toBe("via 192.0.2.2 dev net1");
    await site.caller.checkChain({ ...call, prevResult: result });
  });

  test("keep what IPv6 needs on the link itself in the main table", async () => {
    await site.caller.addChain({ plugins: sbrChain(fixedIpam(["2001:db8::5/64 via 2001:db8::1"])), pod: site.pod });
    expect(site.pod.run("ip", "-6", "route", "show", "dev", "net1")).toContain("fe80::/64");
    expect(site.pod.run("ip", "-6", "route", "show", "dev", "net1", "table", "100")).toContain("fe80::/64");
    expect(site.pod.run("ip", "-6", "route", "get", "fe80::99", "oif", "net1")).toContain("dev net1");
  });

  test("of IPv4 alone leave the routes of IPv6 where they are", async () => {
    const before = site.pod.run("ip", "-6", "route");
    await site.caller.addChain({ plugins: sbrChain(fixedIpam(["192.0.2.5/24"])), pod: site.pod });
    expect(site.pod.run("ip", "-6", "route").replace(/fe80::\/64 dev net1.*\n/, "")).toBe(before);
    expect(site.pod.run("ip", "-6", "route")).toContain("fe80::/64 dev net1");
  });
});

test("routes move with all that they have: several gateways with weights, scope, window, preferred source", async () => {
  const extra = "198.18.0.0/15 nexthop via 192.0.2.8 dev net1 weight 3 nexthop via 192.0.2.9 dev net1";
  const [macvlan, sbr] = sbrChain(fixedIpam(["192.0.2.5/24", "2001:db8::5/64"]));
  const { result, prev } = await site.halfway(macvlan);
  site.pod.ip(
    `route add ${extra}`,
    "route add 198.51.100.0/24 dev net1 scope link src 192.0.2.5 metric 9 window 5000 initcwnd 20 quickack 1 proto static",
    "route add 203.0.113.0/24 via 192.0.2.8 onlink dev net1 rto_min 5ms hoplimit 7 tos 0x10",
    "route add 2001:db8:1::/48 nexthop via 2001:db8::8 dev net1 nexthop via 2001:db8::9 dev net1 weight 2",
    "route add 2001:db8:2::/48 via fe80::1 dev net1 metric 5 mtu lock 1300 pref high",
  );
  const before = ["main"].flatMap((name) => site.table(name));
  await site.caller.add({ config: { ...sbr, prevResult: prev }, pod: site.pod });
  const v4 = site.table(100).filter((line) => !line.includes(":"));
  const v6 = site.table(101);
  expect([...v4, ...v6].sort()).toEqual([...before].sort());
  expect(site.table("main")).toEqual([]);
  await site.caller.call({ verb: "CHECK", config: sbr, pod: site.pod, prevResult: result });
});

describe("the default route of a table", () => {
  const added = async (addresses: string[], routes: JsonObject[], own: JsonObject = {}) => {
    const call = { plugins: sbrChain(fixedIpam(addresses, routes), own), pod: site.pod };
    const result = await site.caller.addChain(call);
    await site.caller.checkChain({ ...call, prevResult: result });
    return [...site.table(100), ...site.table(101)].filter((line) => line.startsWith("default"));
  };

  test.each<[string, string[], JsonObject[], JsonObject, string[]]>([
    ["is the address's gateway", ["192.0.2.5/24 via 192.0.2.1"], [], {}, ["default via 192.0.2.1 dev net1"]],
    [
      "is the result's default route where the address has no gateway",
      ["192.0.2.5/24", "2001:db8::5/64"],
      [
        { dst: "0.0.0.0/0", gw: "192.0.2.1", mtu: 1300 },
        { dst: "::/0", gw: "2001:db8::1" },
      ],
      {},
      ["default via 192.0.2.1 dev net1 mtu 1300", "default via 2001:db8::1 dev net1 metric 1024 pref medium"],
    ],
    [
      "may be over a gateway outside of the subnet",
      ["192.0.2.5/24", "2001:db8::5/64"],
      [
        { dst: "203.0.113.1/32", scope: 253 },
        { dst: "0.0.0.0/0", gw: "203.0.113.1" },
        { dst: "::/0", gw: "fe80::1" },
      ],
      {},
      ["default via 203.0.113.1 dev net1", "default via fe80::1 dev net1 metric 1024 pref medium"],
    ],
    [
      "is over the only gateway that the routes name",
      ["192.0.2.5/24"],
      [
        { dst: "198.51.100.0/24", gw: "192.0.2.1" },
        { dst: "203.0.113.0/24", gw: "192.0.2.1" },
      ],
      {},
      ["default via 192.0.2.1 dev net1"],
    ],
    [
      "is none where the routes name several gateways",
      ["192.0.2.5/24"],
      [
        { dst: "198.51.100.0/24", gw: "192.0.2.1" },
        { dst: "203.0.113.0/24", gw: "192.0.2.2" },
      ],
      {},
      [],
    ],
    ["is none where nobody knows a gateway", ["192.0.2.5/24"], [], {}, []],
    [
      "is over the gateways of the config before all others",
      ["192.0.2.5/24 via 192.0.2.1", "2001:db8::5/64"],
      [{ dst: "0.0.0.0/0" }, { dst: "::/0", gw: "2001:db8::1" }],
      { gateways: ["192.0.2.77", "2001:db8::77"] },
      ["default via 192.0.2.77 dev net1", "default via 2001:db8::77 dev net1 metric 1024 pref medium"],
    ],
    [
      "has several gateways where the result has",
      ["192.0.2.5/24"],
      [
        { dst: "0.0.0.0/0", gw: "192.0.2.1" },
        { dst: "0.0.0.0/0", gw: "192.0.2.2" },
      ],
      {},
      ["default"],
    ],
  ])("%s", async (_, addresses, routes, own, want) => {
    expect(await added(addresses, routes, own)).toEqual(want);
  });

  test("is not the pod's: a default route of another interface stays", async () => {
    site.addOtherInterface();
    expect(await added(["192.0.2.5/24 via 192.0.2.1"], [{ dst: "0.0.0.0/0" }])).toEqual([
      "default via 192.0.2.1 dev net1",
    ]);
    expect(site.table("main")).toEqual([
      "default via 10.244.1.1 dev eth0",
      "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.2",
    ]);
  });
});

describe("with source hints", () => {
  const plugins = sbrChain(
    fixedIpam(["192.0.2.5/24 via 192.0.2.1", "2001:db8::5/64 via 2001:db8::1"], [{ dst: "198.51.100.0/24" }]),
    { addSourceHints: true },
  );

  test("the main table keeps the subnets, and says which address to send from", async () => {
    const result = await site.caller.addChain({ plugins, pod: site.pod });
    expect(site.table("main")).toEqual([
      "192.0.2.0/24 dev net1 proto kernel scope link src 192.0.2.5",
      "2001:db8::/64 dev net1 proto kernel src 2001:db8::5 metric 256 pref medium",
    ]);
    expect(site.table(100)).toContain("198.51.100.0/24 via 192.0.2.1 dev net1");
    await site.caller.checkChain({ plugins, pod: site.pod, prevResult: result });
    site.pod.ip("route del 2001:db8::/64 dev net1");
    await expect(site.caller.checkChain({ plugins, pod: site.pod, prevResult: result })).rejects.toThrow(
      "the main table has no route to 2001:db8::/64 over net1 that says which address to send from",
    );
  });

  test("two interfaces of one subnet keep theirs each", async () => {
    await site.caller.addChain({ plugins, pod: site.pod });
    const [macvlan, sbr] = sbrChain(fixedIpam(["192.0.2.6/24", "2001:db8::6/64"]), { addSourceHints: true });
    await site.caller.addChain({ plugins: [macvlan, sbr], pod: site.pod, ifName: "net2" });
    expect(site.table("main").filter((line) => line.includes(" src "))).toEqual([
      "192.0.2.0/24 dev net1 proto kernel scope link src 192.0.2.5",
      "192.0.2.0/24 dev net2 proto kernel scope link src 192.0.2.6",
      "2001:db8::/64 dev net1 proto kernel src 2001:db8::5 metric 256 pref medium",
      "2001:db8::/64 dev net2 proto kernel src 2001:db8::6 metric 256 pref medium",
    ]);
  });
});

describe("with a table of the config", () => {
  const routes = [{ dst: "0.0.0.0/0", gw: "192.0.2.1", table: 5000 }];

  test("rules lead there, and routes stay where the IPAM plugin wants them", async () => {
    const call = { plugins: sbrChain(fixedIpam(["192.0.2.5/24"], routes), { table: 5000 }), pod: site.pod };
    const result = await site.caller.addChain(call);
    expect(site.table("main")).toEqual(["192.0.2.0/24 dev net1 proto kernel scope link src 192.0.2.5"]);
    expect(site.table(5000)).toEqual(["default via 192.0.2.1 dev net1"]);
    expect(site.rules()).toEqual(["32765: from 192.0.2.5 lookup 5000 proto 201"]);
    expect(result.routes).toMatchObject([{ table: 5000 }]);
    await site.caller.checkChain({ ...call, prevResult: result });
    const [, sbr] = call.plugins;
    await site.caller.call({ verb: "DEL", config: sbr, pod: site.pod });
    expect(site.rules()).toEqual([]);
  });

  test("a gateway of the config gets a default route there", async () => {
    await site.caller.addChain({
      plugins: sbrChain(fixedIpam(["192.0.2.5/24"]), { table: 7, gateways: ["192.0.2.9"] }),
      pod: site.pod,
    });
    expect(site.table(7)).toEqual(["default via 192.0.2.9 dev net1"]);
  });
});

describe("several interfaces of a pod", () => {
  const one = sbrChain(fixedIpam(["192.0.2.5/24 via 192.0.2.1"]));
  const two = sbrChain(fixedIpam(["192.0.2.6/24 via 192.0.2.1"]));

  test("of one network get tables of their own, and each loses only its own", async () => {
    const first = await site.caller.addChain({ plugins: one, pod: site.pod });
    const second = await site.caller.addChain({ plugins: two, pod: site.pod, ifName: "net2" });
    expect(site.rules()).toEqual([
      "32764: from 192.0.2.6 lookup 101 proto 201",
      "32765: from 192.0.2.5 lookup 100 proto 201",
    ]);
    expect([way("192.0.2.5", "203.0.113.1"), way("192.0.2.6", "203.0.113.1")]).toEqual([
      "via 192.0.2.1 dev net1",
      "via 192.0.2.1 dev net2",
    ]);
    await site.caller.checkChain({ plugins: one, pod: site.pod, prevResult: first });
    await site.caller.delChain({ plugins: one, pod: site.pod, prevResult: first });
    expect(site.rules()).toEqual(["32764: from 192.0.2.6 lookup 101 proto 201"]);
    await site.caller.checkChain({ plugins: two, pod: site.pod, ifName: "net2", prevResult: second });
    await site.caller.addChain({ plugins: one, pod: site.pod });
    expect(site.rules()).toContain("32763: from 192.0.2.5 lookup 100 proto 201");
  });

  test("that share an address lose only their own", async () => {
    const first = await site.caller.addChain({ plugins: one, pod: site.pod });
    await site.caller.addChain({ plugins: one, pod: site.pod, ifName: "net2" });
    await site.caller.delChain({ plugins: one, pod: site.pod, prevResult: first });
    expect(site.rules()).toEqual(["32764: from 192.0.2.5 lookup 101 proto 201"]);
    await site.caller.delChain({ plugins: one, pod: site.pod, ifName: "net2", prevResult: first });
    expect(site.rules()).toEqual([]);
  });

  test("whose links are gone already lose their rules, known from the result, or by nobody having the address", async () => {
    const first = await site.caller.addChain({ plugins: one, pod: site.pod });
    await site.caller.addChain({ plugins: two, pod: site.pod, ifName: "net2" });
    const kept = await site.caller.addChain({
      plugins: sbrChain(fixedIpam(["198.51.100.5/24"])),
      pod: site.pod,
      ifName: "net3",
    });
    site.pod.ip("link del net1", "link del net2", "rule add from 203.0.113.7 lookup 900");
    await site.caller.delChain({ plugins: one, pod: site.pod, prevResult: first });
    expect(site.rules()).toEqual([
      "32762: from 203.0.113.7 lookup 900",
      "32763: from 198.51.100.5 lookup 102 proto 201",
    ]);
    await site.caller.checkChain({
      plugins: sbrChain(fixedIpam(["198.51.100.5/24"])),
      pod: site.pod,
      ifName: "net3",
      prevResult: kept,
    });
  });
});

test("replies to far away leave by the interface that was asked, with real packets", async () => {
  const far = site.node(1);
  far.ip("addr add 192.0.2.1/24 dev eth0", "addr add 203.0.113.1/32 dev eth0");
  far.ip("route replace 192.0.2.0/24 dev eth0 src 203.0.113.1");
  site.addOtherInterface();
  const [macvlan, sbr] = sbrChain(fixedIpam(["192.0.2.5/24 via 192.0.2.1"]));
  const { prev } = await site.halfway(macvlan);
  // The answer takes the pod's default route, where nobody is.
  expect(() => ping(far.path, "192.0.2.5", { timeoutMs: 600 })).toThrow();
  await site.caller.add({ config: { ...sbr, prevResult: prev }, pod: site.pod });
  expect(ping(far.path, "192.0.2.5")).toBeGreaterThan(0);
  far.ip("addr flush dev eth0 scope global");
});

test.each<[string, string[]]>([
  ["a route", ["route add 203.0.113.0/24 dev lo table 100"]],
  ["a route of IPv6", ["route add 2001:db8:7::/48 dev lo table 100"]],
  ["a route without device", ["route add blackhole default table 100"]],
  ["a rule", ["rule add to 203.0.113.0/24 lookup 100"]],
  ["a rule of IPv6", ["-6 rule add to 2001:db8:7::/48 lookup 100"]],
])("a table that has %s is not taken", async (_, taken) => {
  for (const line of taken) site.pod.run("sh", "-c", `ip ${line}`);
  await site.caller.addChain({ plugins: sbrChain(fixedIpam(["192.0.2.5/24 via 192.0.2.1"])), pod: site.pod });
  expect(site.rules()).toContainEqual(expect.stringMatching(/from 192.0.2.5 lookup 101/));
});

describe("behind bridge", () => {
  test("the whole chain passes CHECK, by all versions that have it", async () => {
    for (const cniVersion of ["0.4.0", "1.0.0", "1.1.0"]) {
      const bridge = {
        type: "bridge",
        bridge: "br1",
        isGateway: true,
        ipam: fixedIpam(["192.0.2.5/24", "2001:db8::5/64"], [{ dst: "0.0.0.0/0" }]),
      };
      const call = { plugins: [bridge, { type: "sbr" }], pod: site.pod, cniVersion };
      const result = await site.caller.addChain(call);
      expect(site.table("main")).toEqual([]);
      expect(site.table(100)).toContain("default via 192.0.2.1 dev net1");
      await site.caller.checkChain({ ...call, prevResult: result });
      await site.caller.delChain({ ...call, prevResult: result });
      expect(site.rules()).toEqual([]);
    }
    site.node().ip("link del br1");
  });
});
