import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseIp, type Ip } from "../../src/ip/address.ts";
import { formatPrefix, parsePrefix, type Prefix } from "../../src/ip/prefix.ts";
import { isNetlinkError } from "../../src/netlink/error.ts";
import { addAddress, deleteAddress, listAddresses, replaceAddress } from "../../src/rtnl/address.ts";
import {
  IFA_F_DEPRECATED,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
  RTN_BLACKHOLE,
  RTN_UNREACHABLE,
  RTPROT_STATIC,
} from "../../src/rtnl/constants.ts";
import { addLink, setLink } from "../../src/rtnl/link-change.ts";
import { requireLink, type Link } from "../../src/rtnl/link.ts";
import {
  addRoute,
  appendRoute,
  deleteRoute,
  listRoutes,
  prependRoute,
  replaceRoute,
  type RouteSpec,
} from "../../src/rtnl/route.ts";
import { lookUpRoute } from "../../src/rtnl/route-lookup.ts";
import type { Rtnl } from "../../src/rtnl/rtnl.ts";
import { NodeNetns } from "../kit/node-netns.ts";
import { rtnlIn } from "../kit/rtnl-in.ts";

let node: NodeNetns;
let rtnl: Rtnl;
let net1: Link;

beforeAll(() => {
  node = new NodeNetns();
  rtnl = rtnlIn(node.path);
});
afterAll(() => {
  rtnl[Symbol.dispose]();
  node[Symbol.dispose]();
});

function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

/** What iproute2 says. */
function oracle(...words: string[]): Record<string, unknown>[] {
  return JSON.parse(node.run("ip", "-j", "-d", ...words) || "[]") as Record<string, unknown>[];
}

function codeOf(body: () => void): string {
  try {
    body();
  } catch (error) {
    if (isNetlinkError(error)) return error.code;
    throw error;
  }
  return "success";
}

/** A fresh veth pair that is up, so that each test begins without addresses and routes. */
beforeEach(() => {
  rtnl.run(
    addLink({ name: "net1", data: { kind: "veth", peer: { name: "peer1" } }, up: true }),
    setLink("peer1", { up: true }),
  );
  net1 = requireLink(rtnl, "net1");
  return () => {
    node.ip("link del net1");
  };
});

describe("addresses", () => {
  test("family 4 gets the broadcast address of its network up to /30", () => {
    rtnl.run(
      addAddress({ device: net1, prefix: prefix("10.1.2.3/24") }),
      addAddress({ device: net1, prefix: prefix("10.1.3.1/31") }),
      addAddress({ device: net1, prefix: prefix("10.1.4.1/32") }),
      addAddress({ device: net1, prefix: prefix("10.1.5.1/24"), broadcast: "none" }),
      addAddress({
        device: net1,
        prefix: prefix("10.1.6.1/24"),
        broadcast: ip("10.1.6.9"),
        scope: RT_SCOPE_LINK,
        label: "net1:x",
      }),
    );
    const [found] = oracle("-4", "addr", "show", "dev", "net1");
    expect(found?.["addr_info"]).toMatchObject([
      { local: "10.1.6.1", prefixlen: 24, broadcast: "10.1.6.9", scope: "link", label: "net1:x" },
      { local: "10.1.2.3", prefixlen: 24, broadcast: "10.1.2.255", scope: "global", label: "net1" },
      { local: "10.1.3.1", prefixlen: 31 },
      { local: "10.1.4.1", prefixlen: 32 },
      { local: "10.1.5.1", prefixlen: 24 },
    ]);
    const infos = found?.["addr_info"] as Record<string, unknown>[];
    expect(infos.map((info) => info["broadcast"])).toEqual(["10.1.6.9", "10.1.2.255", undefined, undefined, undefined]);
    expect(
      listAddresses(rtnl, { device: net1, family: 4 }).map(({ prefix, scope }) => [formatPrefix(prefix), scope]),
    ).toEqual([
      ["10.1.6.1/24", RT_SCOPE_LINK],
      ["10.1.2.3/24", RT_SCOPE_UNIVERSE],
      ["10.1.3.1/31", RT_SCOPE_UNIVERSE],
      ["10.1.4.1/32", RT_SCOPE_UNIVERSE],
      ["10.1.5.1/24", RT_SCOPE_UNIVERSE],
    ]);
  });

  test("flags reach the kernel: NODAD is usable at once, without it an address is tentative", () => {
    rtnl.run(
      addAddress({ device: net1, prefix: prefix("2001:db8::1/64"), flags: IFA_F_NODAD | IFA_F_NOPREFIXROUTE }),
      addAddress({ device: net1, prefix: prefix("2001:db8::2/64") }),
    );
    const found = new Map(
      listAddresses(rtnl, { device: net1, family: 6 }).map((each) => [formatPrefix(each.prefix), each]),
    );
    expect(found.get("2001:db8::1/64")).toMatchObject({ tentative: false, dadFailed: false, device: net1.index });
    expect((found.get("2001:db8::1/64")?.flags ?? 0) & (IFA_F_NODAD | IFA_F_NOPREFIXROUTE)).toBe(
      IFA_F_NODAD | IFA_F_NOPREFIXROUTE,
    );
    expect(found.get("2001:db8::2/64")?.tentative).toBe(true);
  });

  test("a duplicate on the wire is told as DAD failed", async () => {
    using other = node.pod();
    node.ip("link add dad0 type veth peer name dad1", `link set dad1 netns ${other.name}`, "link set dad0 up");
    other.ip("link set dad1 up", "addr add 2001:db8:9::1/64 dev dad1 nodad");
    const dad0 = requireLink(rtnl, "dad0");
    rtnl.run(addAddress({ device: dad0, prefix: prefix("2001:db8:9::1/64") }));
    const read = () =>
      listAddresses(rtnl, { device: dad0, family: 6 }).find((each) => formatPrefix(each.prefix) === "2001:db8:9::1/64");
    await expect.poll(() => read()?.dadFailed, { timeout: 60_000 }).toBe(true);
    node.ip("link del dad0");
  });

  test("peer, metric and lifetimes come back", () => {
    rtnl.run(
      addAddress({ device: net1, prefix: prefix("10.2.0.1/32"), peer: ip("10.2.0.2") }),
      addAddress({ device: net1, prefix: prefix("10.3.0.1/24"), metric: 77 }),
      addAddress({ device: net1, prefix: prefix("10.4.0.1/24"), validSeconds: 500, preferredSeconds: 0 }),
    );
    const [withPeer, withMetric, withLife] = listAddresses(rtnl, { device: net1, family: 4 });
    expect(withPeer).toMatchObject({
      prefix: prefix("10.2.0.1/32"),
      peer: ip("10.2.0.2"),
      broadcast: undefined,
      validSeconds: undefined,
    });
    expect(withMetric).toMatchObject({ metric: 77, peer: undefined, broadcast: ip("10.3.0.255"), label: "net1" });
    expect(withLife).toMatchObject({ preferredSeconds: 0 });
    expect(withLife?.validSeconds).toBeGreaterThan(400);
    expect((withLife?.flags ?? 0) & IFA_F_DEPRECATED).toBe(IFA_F_DEPRECATED);
    expect(
      listRoutes(rtnl, { family: 4, device: net1, table: RT_TABLE_MAIN }).find(({ metric }) => metric === 77)
        ?.destination,
    ).toEqual(prefix("10.3.0.0/24"));
  });

  test("a second add is EEXIST and names address and device, a replace is not, a second delete is EADDRNOTAVAIL", () => {
    const spec = { device: net1, prefix: prefix("10.1.2.3/24") };
    rtnl.run(addAddress(spec));
    expect(() => rtnl.run(addAddress(spec))).toThrow("add address 10.1.2.3/24 to net1: file exists");
    rtnl.run(replaceAddress(spec), deleteAddress(spec));
    expect(() => rtnl.run(deleteAddress(spec))).toThrow(
      "delete address 10.1.2.3/24 from net1: cannot assign requested address",
    );
    expect(listAddresses(rtnl, { device: net1, family: 4 })).toEqual([]);
  });

  test("a list of everything has both families and every device", () => {
    const all = listAddresses(rtnl);
    expect(all.map((each) => formatPrefix(each.prefix))).toEqual(expect.arrayContaining(["127.0.0.1/8", "::1/128"]));
  });
});

describe("routes", () => {
  beforeEach(() => {
    rtnl.run(
      addAddress({ device: net1, prefix: prefix("10.1.2.3/24") }),
      addAddress({ device: net1, prefix: prefix("2001:db8:1::3/64"), flags: IFA_F_NODAD }),
    );
  });

  const everything4 = (): RouteSpec => ({
    destination: prefix("10.0.0.0/8"),
    gateway: ip("10.1.2.1"),
    device: net1,
    source: ip("10.1.2.3"),
    table: 1000,
    metric: 42,
    scope: RT_SCOPE_UNIVERSE,
    protocol: RTPROT_STATIC,
    metrics: { mtu: 1400, advmss: 1360, initcwnd: 20, congestionControl: "cubic" },
  });

  test("family 4: table above 255, metric, mtu, advmss, source, protocol reach the kernel and come back", () => {
    rtnl.run(addRoute(everything4()));
    expect(oracle("-4", "route", "show", "table", "1000")).toMatchObject([
      {
        dst: "10.0.0.0/8",
        gateway: "10.1.2.1",
        dev: "net1",
        protocol: "static",
        scope: "global",
        prefsrc: "10.1.2.3",
        metric: 42,
        metrics: [{ mtu: 1400, advmss: 1360, initcwnd: 20, congestion: "cubic" }],
      },
    ]);
    expect(listRoutes(rtnl, { table: 1000 })).toMatchObject([{ ...everything4(), device: net1.index }]);
  });

  test("family 6: the same, save the scope, which it does not keep", () => {
    const spec: RouteSpec = {
      destination: prefix("2001:db8:ff::/48"),
      gateway: ip("2001:db8:1::1"),
      device: net1,
      source: ip("2001:db8:1::3"),
      table: 1000,
      metric: 42,
      protocol: RTPROT_STATIC,
      metrics: { mtu: 1400, advmss: 1340 },
    };
    rtnl.run(addRoute({ ...spec, scope: RT_SCOPE_LINK }));
    expect(oracle("-6", "route", "show", "table", "1000")).toMatchObject([
      {
        dst: "2001:db8:ff::/48",
        gateway: "2001:db8:1::1",
        dev: "net1",
        protocol: "static",
        prefsrc: "2001:db8:1::3",
        metric: 42,
      },
    ]);
    expect(oracle("-6", "route", "show", "table", "1000")[0]?.["metrics"]).toEqual([{ mtu: 1400, advmss: 1340 }]);
    expect(listRoutes(rtnl, { family: 6, table: 1000 })).toMatchObject([
      { ...spec, device: net1.index, scope: RT_SCOPE_UNIVERSE },
    ]);
  });

  test("scopes of family 4, given or by default", () => {
    rtnl.run(
      addRoute({ destination: prefix("10.9.1.0/24"), device: net1 }),
      addRoute({ destination: prefix("10.9.2.0/24"), device: net1, gateway: ip("10.1.2.1") }),
      addRoute({ destination: prefix("10.9.3.0/24"), device: net1, scope: RT_SCOPE_HOST }),
      addRoute({ destination: prefix("10.9.4.0/24"), device: net1, scope: RT_SCOPE_UNIVERSE }),
    );
    const found = oracle("-4", "route", "show", "table", "main").filter(({ dst }) => String(dst).startsWith("10.9."));
    expect(found.map(({ dst, scope, protocol }) => [dst, scope, protocol])).toEqual([
      ["10.9.1.0/24", "link", "boot"],
      ["10.9.2.0/24", "global", "boot"],
      ["10.9.3.0/24", "host", "boot"],
      ["10.9.4.0/24", "global", "boot"],
    ]);
  });

  test("defaults, on-link gateways, blackholes, and a gateway of the other family", () => {
    rtnl.run(
      addRoute({ destination: prefix("0.0.0.0/0"), gateway: ip("10.1.2.1"), device: net1 }),
      addRoute({ destination: prefix("::/0"), gateway: ip("2001:db8:1::1"), device: net1 }),
      addRoute({ destination: prefix("10.8.0.0/16"), gateway: ip("192.0.2.1"), device: net1, onlink: true }),
      addRoute({ destination: prefix("10.7.0.0/16"), type: RTN_BLACKHOLE }),
      addRoute({ destination: prefix("2001:db8:7::/48"), type: RTN_UNREACHABLE, device: 1 }),
      addRoute({ destination: prefix("10.6.0.0/16"), gateway: ip("2001:db8:1::1"), device: net1 }),
    );
    const main = listRoutes(rtnl, { table: RT_TABLE_MAIN });
    const named = new Map(main.map((route) => [formatPrefix(route.destination), route]));
    expect(named.get("0.0.0.0/0")?.gateway).toEqual(ip("10.1.2.1"));
    expect(named.get("::/0")?.gateway).toEqual(ip("2001:db8:1::1"));
    expect(named.get("10.8.0.0/16")).toMatchObject({ onlink: true, gateway: ip("192.0.2.1") });
    expect(named.get("10.7.0.0/16")).toMatchObject({ type: RTN_BLACKHOLE, device: undefined });
    expect(named.get("2001:db8:7::/48")).toMatchObject({ type: RTN_UNREACHABLE });
    expect(named.get("10.6.0.0/16")?.gateway).toEqual(ip("2001:db8:1::1"));
    rtnl.run(deleteRoute({ destination: prefix("10.7.0.0/16") }));
    rtnl.run(deleteRoute({ destination: prefix("2001:db8:7::/48"), type: RTN_UNREACHABLE }));
  });

  test("several ways to one destination", () => {
    const hops4 = [
      { gateway: ip("10.1.2.1"), device: net1, weight: 3 },
      { gateway: ip("10.1.2.2"), device: net1, weight: 1 },
    ];
    const hops6 = [
      { gateway: ip("2001:db8:1::1"), device: net1, weight: 1 },
      { gateway: ip("2001:db8:1::2"), device: net1, weight: 2 },
    ];
    rtnl.run(
      addRoute({ destination: prefix("10.5.0.0/16"), nextHops: hops4 }),
      addRoute({ destination: prefix("2001:db8:5::/48"), nextHops: hops6 }),
    );
    const of = (destination: string) =>
      listRoutes(rtnl, { device: net1 }).find((route) => formatPrefix(route.destination) === destination)?.nextHops;
    const wanted = (hops: typeof hops4) => hops.map((hop) => ({ ...hop, device: net1.index, onlink: false }));
    expect(of("10.5.0.0/16")).toEqual(wanted(hops4));
    expect(of("2001:db8:5::/48")).toEqual(wanted(hops6));
    expect(oracle("-4", "route", "show", "10.5.0.0/16")[0]?.["nexthops"]).toMatchObject([{ weight: 3 }, { weight: 1 }]);
  });

  test("add, prepend, append and replace differ in what a taken destination means", () => {
    const to = (gateway: string): RouteSpec => ({
      destination: prefix("10.4.0.0/16"),
      gateway: ip(gateway),
      device: net1,
    });
    const gateways = () => oracle("-4", "route", "show", "10.4.0.0/16").map((route) => String(route["gateway"]));
    rtnl.run(addRoute(to("10.1.2.1")));
    expect(codeOf(() => rtnl.run(addRoute(to("10.1.2.2"))))).toBe("EEXIST");
    expect(codeOf(() => rtnl.run(prependRoute(to("10.1.2.1"))))).toBe("EEXIST");
    rtnl.run(prependRoute(to("10.1.2.2")), appendRoute(to("10.1.2.4")));
    expect(gateways()).toEqual(["10.1.2.2", "10.1.2.1", "10.1.2.4"]);
    rtnl.run(replaceRoute(to("10.1.2.9")));
    expect(gateways()).toEqual(["10.1.2.9", "10.1.2.1", "10.1.2.4"]);
    rtnl.run(deleteRoute(to("10.1.2.1")));
    expect(gateways()).toEqual(["10.1.2.9", "10.1.2.4"]);
  });

  test("a listed route can be put into another table and deleted from the first as it is", async () => {
    rtnl.run(addRoute(everything4()));
    const [route] = listRoutes(rtnl, { table: 1000 });
    if (route === undefined) throw new Error("the route is missing");
    rtnl.run(addRoute({ ...route, table: 2000 }), deleteRoute(route));
    expect(listRoutes(rtnl, { table: 1000 })).toEqual([]);
    expect(listRoutes(rtnl, { table: 2000 })).toEqual([{ ...route, table: 2000 }]);
    // The same for all that the kernel made by itself: what it says of a route is enough to find it again. The last one comes when it has seen that
    // both ends of the pair are up.
    const made = () => listRoutes(rtnl, { device: net1, table: RT_TABLE_MAIN });
    await expect
      .poll(() => made().map(({ destination }) => formatPrefix(destination)), { timeout: 60_000 })
      .toContain("fe80::/64");
    for (const each of made()) rtnl.run(addRoute({ ...each, table: 3000 }), deleteRoute(each));
    expect(made()).toEqual([]);
    expect(listRoutes(rtnl, { device: net1, table: 3000 }).map((each) => formatPrefix(each.destination))).toEqual(
      expect.arrayContaining(["10.1.2.0/24", "2001:db8:1::/64"]),
    );
  });

  test("filters: family, table, device, protocol, type", () => {
    rtnl.run(addRoute(everything4()));
    expect(listRoutes(rtnl, { protocol: RTPROT_STATIC, table: 1000 })).toHaveLength(1);
    expect(listRoutes(rtnl, { protocol: 99 })).toEqual([]);
    expect(listRoutes(rtnl, { type: RTN_BLACKHOLE })).toEqual([]);
    expect(listRoutes(rtnl, { table: 4711 })).toEqual([]);
    expect(listRoutes(rtnl, { family: 6, table: 4711 })).toEqual([]);
    expect(listRoutes(rtnl, { device: 1, table: 1000 })).toEqual([]);
    expect(new Set(listRoutes(rtnl, { family: 6 }).map((route) => route.destination.ip.family))).toEqual(new Set([6]));
  });

  test("the way to an address is the one that the kernel would take", () => {
    rtnl.run(addRoute({ destination: prefix("10.9.0.0/16"), gateway: ip("10.1.2.1"), device: net1 }));
    rtnl.run(addRoute({ destination: prefix("10.8.0.0/16"), type: RTN_UNREACHABLE }));
    rtnl.run(addRoute({ destination: prefix("10.7.0.0/16"), type: RTN_BLACKHOLE }));
    expect(lookUpRoute(rtnl, ip("10.1.2.9"))).toMatchObject({ device: net1.index, gateway: undefined });
    expect(lookUpRoute(rtnl, ip("10.9.9.9"))).toMatchObject({ device: net1.index, gateway: ip("10.1.2.1") });
    for (const none of ["10.8.1.1", "10.7.1.1", "192.0.2.1"]) expect(lookUpRoute(rtnl, ip(none))).toBeUndefined();
  });

  test("errors say which route, and the kernel's reason", () => {
    const lost = { destination: prefix("10.3.0.0/16"), gateway: ip("192.0.2.1"), device: net1, table: 100, metric: 5 };
    expect(() => rtnl.run(addRoute(lost))).toThrow(
      "add route 10.3.0.0/16 via 192.0.2.1 dev net1 metric 5 table 100: network is unreachable (kernel: Nexthop has invalid gateway)",
    );
    expect(() => rtnl.run(deleteRoute({ destination: prefix("10.3.0.0/16") }))).toThrow(
      "delete route 10.3.0.0/16: no such process",
    );
  });

  test("link up, address and routes go in one batch", () => {
    const results = rtnl.batch([
      setLink(net1, { up: true }),
      addAddress({ device: net1, prefix: prefix("10.20.0.2/24") }),
      addRoute({ destination: prefix("10.21.0.0/16"), gateway: ip("10.20.0.1"), device: net1 }),
      addRoute({ destination: prefix("10.22.0.0/16"), gateway: ip("10.30.0.1"), device: net1 }),
      addRoute({ destination: prefix("10.23.0.0/16"), gateway: ip("10.20.0.1"), device: net1 }),
    ]);
    expect(results.map((error) => error?.code)).toEqual([undefined, undefined, undefined, "ENETUNREACH", undefined]);
  });
});
