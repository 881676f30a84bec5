import type { Case, ExpectedDifference, Site, Step } from "./compare.ts";
import { describeCases } from "./describe-cases.ts";

/** What the plugin before has made: an interface with these addresses, up, and these routes (iproute2's words). */
function given(addresses: readonly string[], routes: readonly string[] = [], ifName = "net1") {
  return (site: Site) => {
    const own = site.pod();
    own.ip("link set lo up", `link add ${ifName} type veth peer name far-${ifName}`, `link set far-${ifName} up`);
    own.ip(
      ...addresses.map((address) => `addr add ${address} dev ${ifName}${address.includes(":") ? " nodad" : ""}`),
      `link set ${ifName} up`,
      ...routes.map((route) => `route add ${route} dev ${ifName}`),
    );
  };
}

/** "192.0.2.5/24 via 192.0.2.1" as a result has it. */
function ips(addresses: readonly string[]): object[] {
  return addresses.map((each) => {
    const [address = "", gateway] = each.split(" via ");
    return { address, interface: 0, ...(gateway === undefined ? {} : { gateway }) };
  });
}

function network(addresses: readonly string[], own: object = {}, result: object = {}, cniVersion = "1.1.0") {
  return (site: Site): object => {
    const interfaces = [{ name: "net1", sandbox: site.pod().path }];
    const versioned = ips(addresses).map((ip) =>
      cniVersion >= "1" ? ip : { ...ip, version: (ip as { address: string }).address.includes(":") ? "6" : "4" },
    );
    const prevResult = { cniVersion, interfaces, ips: versioned, ...result };
    return { cniVersion, name: "lan", type: "sbr", prevResult, ...own };
  };
}

function list(first: object, addresses: readonly string[], own: object = {}, routes: readonly object[] = []): object {
  const all = addresses.map((each) => {
    const [address = "", gateway] = each.split(" via ");
    return gateway === undefined ? { address } : { address, gateway };
  });
  const ipam = { type: "static", addresses: all, routes };
  return {
    cniVersion: "1.1.0",
    name: "lan",
    plugins: [
      { ...first, ipam },
      { type: "sbr", ...own },
    ],
  };
}

const macvlan = { type: "macvlan", master: "eth0" };
const bridge = { type: "bridge", bridge: "br0" };

const life: readonly Step[] = [{ command: "ADD" }, { command: "CHECK" }, { command: "DEL" }, { command: "DEL" }];
const addDel: readonly Step[] = [{ command: "ADD" }, { command: "DEL" }];
const refused: readonly Step[] = [{ command: "ADD", code: 999 }];
/** The Go plugins before sbr look for their routes in the main table. */
const unchecked: readonly Step[] = [{ command: "ADD" }, { command: "CHECK", code: 999 }, { command: "DEL" }];

const v4 = "192.0.2.5/24";
const v6 = "2001:db8::5/64";

const common: readonly ExpectedDifference[] = [
  { line: /rules \/ [46] \d+ \S+ \d+ \/ protocol: peer has nothing, ours has "201"/, reason: "our rules can be told" },
  { line: /result \/ routes \/ .*table: peer has nothing/, reason: "the result tells where routes have gone" },
  { line: /answer \/ code: peer has 999, ours has 7$/, reason: "a wrong config has the specification's code" },
  { line: /DEL state \/ pod0 \/ routes \/ .* 10\d .*ours has nothing/, reason: "DEL empties the tables" },
  {
    line: /^2 CHECK answer.*peer has (1|999|".*"), ours has (0|nothing)/,
    reason: "routes are looked for in all tables",
  },
  { line: /^2 CHECK answer \/ result: peer has nothing, ours has ""/, reason: "routes are looked for in all tables" },
  { line: /result \/ interfaces \/ 0 \/ mtu: peer has nothing/, reason: "macvlan tells the MTU, as 1.1.0 can" },
  { line: /net1 2001:db8::\S+ \/ nodad: peer has nothing/, reason: "docs/ipv6-dad.md" },
];

/** Both families in each table on the Go side. */
const otherFamily: ExpectedDifference = {
  line: /routes \/ ipv6 10\d unicast 2001:db8:\S* dev net1.*ours has nothing/,
  reason: "a table has the routes of its address's family",
};

const cases: readonly Case[] = [
  {
    name: "an address with a gateway",
    plugin: "sbr",
    config: network([`${v4} via 192.0.2.1`]),
    setUp: given([v4]),
  },
  {
    name: "the default route is there already",
    plugin: "sbr",
    config: network([`${v4} via 192.0.2.1`], {}, { routes: [{ dst: "0.0.0.0/0" }] }),
    setUp: given([v4], ["default via 192.0.2.1"]),
  },
  { name: "an address without a gateway", plugin: "sbr", config: network([v4]), setUp: given([v4]) },
  { name: "an address of its own", plugin: "sbr", config: network(["192.0.2.5/32"]), setUp: given(["192.0.2.5/32"]) },
  {
    name: "several addresses in several subnets",
    plugin: "sbr",
    config: network([`${v4} via 192.0.2.1`, "198.51.100.5/25 via 198.51.100.1", "203.0.113.5/26"]),
    setUp: given([v4, "198.51.100.5/25", "203.0.113.5/26"]),
  },
  {
    name: "several addresses in one subnet",
    plugin: "sbr",
    config: network([`${v4} via 192.0.2.1`, "192.0.2.6/24 via 192.0.2.2"]),
    setUp: given([v4, "192.0.2.6/24"]),
  },
  {
    name: "IPv6 with a gateway",
    plugin: "sbr",
    config: network([`${v6} via 2001:db8::1`]),
    setUp: given([v6]),
  },
  {
    name: "both families",
    plugin: "sbr",
    config: network([`${v4} via 192.0.2.1`, `${v6} via 2001:db8::1`]),
    setUp: given([v4, v6]),
    expected: [otherFamily],
  },
  {
    name: "routes over gateways, with metrics",
    plugin: "sbr",
    config: network([`${v4} via 192.0.2.1`], {}, { routes: [{ dst: "10.0.0.0/8", gw: "192.0.2.9", priority: 50 }] }),
    setUp: given([v4], ["10.0.0.0/8 via 192.0.2.9 metric 50 mtu 1300 advmss 1200", "10.9.0.0/16 via 192.0.2.8"]),
  },
  {
    name: "a route with several gateways",
    plugin: "sbr",
    config: network([v4]),
    setUp: (site) => {
      given([v4])(site);
      site.pod().ip("route add 10.0.0.0/8 nexthop via 192.0.2.8 dev net1 nexthop via 192.0.2.9 dev net1");
    },
    steps: addDel,
    expected: [{ line: /routes \/ ipv4 (main|100) unicast 10\.0\.0\.0\/8/, reason: "moves like any other" }],
  },
  {
    name: "an IPv6 default route over a link-local router",
    plugin: "sbr",
    config: network([v6], {}, { routes: [{ dst: "::/0", gw: "fe80::1" }] }),
    setUp: given([v6], ["default via fe80::1"]),
    expected: [{ line: /ipv6 100 unicast default dev net1 metric 1024: peer has nothing/, reason: "is not lost" }],
  },
  {
    name: "a default route over a gateway outside of the subnet",
    plugin: "sbr",
    config: network([v4], {}, { routes: [{ dst: "0.0.0.0/0", gw: "203.0.113.1" }] }),
    setUp: given([v4], ["203.0.113.1 scope link", "default via 203.0.113.1"]),
    expected: [{ line: /ipv4 100 unicast default dev net1: peer has nothing/, reason: "is not lost" }],
  },
  {
    name: "the pod's default route over another interface stays",
    plugin: "sbr",
    config: network([`${v4} via 192.0.2.1`]),
    setUp: (site) => {
      given(["10.244.0.2/24"], ["default via 10.244.0.1"], "eth0")(site);
      given([v4])(site);
    },
  },
  {
    name: "a table that a rule leads to is not taken",
    plugin: "sbr",
    config: network([`${v4} via 192.0.2.1`]),
    setUp: (site) => {
      given([v4])(site);
      site.pod().ip("rule add from 203.0.113.1 lookup 100");
    },
  },
  {
    name: "a table that has routes and no rule",
    plugin: "sbr",
    config: network([`${v4} via 192.0.2.1`]),
    setUp: (site) => {
      given([v4])(site);
      site.pod().ip("route add 203.0.113.0/24 dev lo table 100");
    },
    expected: [{ line: /(routes|rules) \/ .*10[01]/, reason: "is not taken" }],
  },
  {
    name: "a table of the config",
    plugin: "sbr",
    config: network([v4, v6], { table: 5000 }),
    setUp: given([v4, v6], ["default via 192.0.2.1 table 5000"]),
    expected: [{ line: /DEL state .* 5000 .*ours has nothing/, reason: "what leads there goes with the rules" }],
  },
  ...["0.3.0", "0.3.1", "0.4.0", "1.0.0"].map((version): Case => {
    const hasCheck = version === "0.4.0" || version === "1.0.0";
    const config = network([`${v4} via 192.0.2.1`], {}, { routes: [{ dst: "0.0.0.0/0" }] }, version);
    return {
      name: `version ${version}`,
      plugin: "sbr",
      config,
      setUp: given([v4], ["default via 192.0.2.1"]),
      steps: hasCheck ? life : addDel,
    };
  }),
  ...["0.1.0", "0.2.0", "1.1.0"].map((version): Case => {
    const config = { cniVersion: version, name: "lan", type: "sbr" };
    return { name: `version ${version} without a previous result`, plugin: "sbr", config, steps: refused };
  }),
  {
    name: "no address",
    plugin: "sbr",
    config: network([]),
    setUp: given([]),
    steps: refused,
  },
  {
    name: "no interface",
    plugin: "sbr",
    config: network([v4]),
    steps: refused,
  },
  {
    name: "a gateway out of reach",
    plugin: "sbr",
    config: network([`${v4} via 203.0.113.1`]),
    setUp: given([v4]),
    steps: refused,
    expected: [
      { line: /ADD state \/ pod0 \/ rules .*ours has nothing/, reason: "a failed ADD leaves nothing" },
      { line: /answer \/ msg: .*Failed to add default route to/, reason: "the route in words that people use" },
    ],
  },
  {
    name: "DEL in the absence of all that it might want",
    plugin: "sbr",
    config: network([`${v4} via 192.0.2.1`]),
    setUp: given([v4]),
    steps: [
      { command: "DEL" },
      { command: "ADD" },
      { command: "DEL", before: (site) => site.pod().ip("link del net1") },
      { command: "DEL", netns: "", code: 999 },
    ],
    expected: [
      {
        line: /^[34] DEL state \/ pod0 \/ rules .*ours has nothing/,
        reason: "the addresses are known from the result",
      },
      { line: /^4 DEL answer/, reason: "nothing is left where there is no namespace" },
    ],
  },
  {
    name: "CHECK after the rule is gone",
    plugin: "sbr",
    config: network([`${v4} via 192.0.2.1`]),
    setUp: given([v4]),
    steps: [
      { command: "ADD" },
      { command: "CHECK", before: (site) => site.pod().ip("rule del from 192.0.2.5") },
      { command: "DEL" },
    ],
    expected: [{ line: /^2 CHECK answer/, reason: "CHECK looks" }],
  },
  {
    name: "behind macvlan, both families and routes",
    plugin: "sbr",
    config: list(macvlan, [`${v4} via 192.0.2.1`, v6], {}, [
      { dst: "0.0.0.0/0" },
      { dst: "10.0.0.0/8", gw: "192.0.2.9" },
    ]),
    steps: unchecked,
    expected: [otherFamily],
  },
  {
    name: "behind macvlan, twice in a pod",
    plugin: "sbr",
    config: list(macvlan, [`${v4} via 192.0.2.1`]),
    steps: [
      { command: "ADD" },
      { command: "ADD", ifName: "net2", config: list(macvlan, ["192.0.2.6/24 via 192.0.2.1"]) },
      { command: "DEL" },
      { command: "DEL", ifName: "net2", config: list(macvlan, ["192.0.2.6/24 via 192.0.2.1"]) },
    ],
  },
  {
    name: "behind bridge",
    plugin: "sbr",
    config: list({ ...bridge, isGateway: true }, [v4], {}, [{ dst: "0.0.0.0/0" }]),
    steps: unchecked,
    expected: [{ line: /(br0|veth#\d|ndisc_notify)/, reason: "is about bridge, whose own table of cases has it" }],
  },
  {
    name: "behind macvlan, routes in a table of the config",
    plugin: "sbr",
    config: list(macvlan, [v4], { table: 200 }, [{ dst: "0.0.0.0/0", gw: "192.0.2.1", table: 200 }]),
    steps: [{ command: "ADD" }, { command: "CHECK", code: 999 }, { command: "DEL" }],
  },
];

describeCases("sbr", cases, common);
