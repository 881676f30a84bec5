import type { Case, ExpectedDifference, Site, Step } from "./compare.ts";
import { describeCases } from "./describe-cases.ts";

type Route = Readonly<Record<string, string | number>>;

function fixed(addresses: readonly (readonly [address: string, gateway?: string])[], own: object = {}): object {
  const list = addresses.map(([address, gateway]) => (gateway === undefined ? { address } : { address, gateway }));
  return { ipam: { type: "static", addresses: list, ...own } };
}

const v4 = ["192.0.2.10/24", "192.0.2.1"] as const;
const v6 = ["2001:db8::10/64", "2001:db8::1"] as const;
const plain = fixed([v4], { routes: [{ dst: "0.0.0.0/0" }] });

function network(own: object = {}, cniVersion = "1.1.0"): object {
  return { cniVersion, name: "lan", type: "macvlan", master: "eth0", ...own };
}

function routed(...routes: readonly Route[]): object {
  return network(fixed([v4, ["2001:db8::10/64"]], { routes }));
}

const addDel: readonly Step[] = [{ command: "ADD" }, { command: "DEL" }];
const refused: readonly Step[] = [{ command: "ADD", code: 999 }, { command: "DEL" }];

function masterInPod(site: Site): void {
  site.pod().ip("link add up0 type veth peer name up1", "link set up0 up", "link set up1 up");
}

function defaultRoute({ node }: Site): void {
  node.ip("addr add 198.51.100.1/24 dev eth0", "route add default via 198.51.100.254");
}

const common: readonly ExpectedDifference[] = [
  { line: /result \/ interfaces \/ 0 \/ mtu: peer has nothing/, reason: "the result tells the MTU, as 1.1.0 can" },
  { line: /answer \/ code: peer has 999, ours has 7$/, reason: "a wrong config has the specification's code" },
  {
    line: /net1 2001:db8::[^/]*\/\d+ \/ (tentative: peer has true|nodad: peer has nothing)/,
    reason: "docs/ipv6-dad.md",
  },
  { line: /files \/ lan\/\.polynic/, reason: "host-local keeps an index by holder" },
];

const cases: readonly Case[] = [
  ...["bridge", "private", "vepa", "passthru"].map((mode): Case => {
    return { name: `mode ${mode}, no IPAM`, plugin: "macvlan", config: network({ mode }) };
  }),
  { name: "IPv4 with a default route", plugin: "macvlan", config: network(plain) },
  { name: "IPv6 without a gateway", plugin: "macvlan", config: network(fixed([["2001:db8::10/64"]])) },
  {
    name: "both families with default routes",
    plugin: "macvlan",
    config: network(fixed([v4, v6], { routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] })),
  },
  {
    name: "several addresses of a family",
    plugin: "macvlan",
    config: network(
      fixed([v4, ["192.0.2.11/24"], ["198.51.100.10/25", "198.51.100.1"]], { routes: [{ dst: "0.0.0.0/0" }] }),
    ),
  },
  ...["0.3.0", "0.3.1", "0.4.0", "1.0.0"].map((version): Case => {
    const hasCheck = version === "0.4.0" || version === "1.0.0";
    const config = network(plain, version);
    return { name: `version ${version}`, plugin: "macvlan", config, ...(hasCheck ? {} : { steps: addDel }) };
  }),
  ...["0.1.0", "0.2.0"].map((version): Case => {
    return { name: `version ${version}`, plugin: "macvlan", config: network(plain, version), steps: addDel };
  }),
  {
    name: "version 0.2.0 has no words for a link without address",
    plugin: "macvlan",
    config: network({}, "0.2.0"),
    steps: refused,
    expected: [
      { line: /state \/ pod0 \/ .*net1.*: peer has/, reason: "an ADD whose result can't be told is taken back" },
      { line: /answer \/ code: peer has 999, ours has 1$/, reason: "it is a question of versions" },
    ],
  },
  {
    name: "routes with metric and table",
    plugin: "macvlan",
    config: routed(
      { dst: "198.51.100.0/24", priority: 50 },
      { dst: "203.0.113.0/24", gw: "192.0.2.9", table: 77 },
      { dst: "2001:db8:1::/48", gw: "2001:db8::1", priority: 5 },
    ),
    steps: addDel,
  },
  {
    name: "a route with MTU and MSS",
    plugin: "macvlan",
    config: routed({ dst: "198.51.100.0/24", mtu: 1300, advmss: 1200 }),
    expected: [{ line: /198\.51\.100\.0\/24 dev net1 \/ metrics: peer has nothing/, reason: "they reach the kernel" }],
  },
  {
    name: "a route of scope link",
    plugin: "macvlan",
    config: network(fixed([["192.0.2.10/24"]], { routes: [{ dst: "198.51.100.0/24", scope: 253 }] })),
  },
  {
    name: "a route without gateway",
    plugin: "macvlan",
    config: network(fixed([["192.0.2.10/24"]], { routes: [{ dst: "198.51.100.0/24" }] })),
    expected: [
      { line: /198\.51\.100\.0\/24 dev net1 \/ scope: peer has "global", ours has "link"/, reason: "as ip-route(8)" },
    ],
  },
  {
    name: "two gateways for one destination, IPv4",
    plugin: "macvlan",
    config: routed({ dst: "198.51.100.0/24", gw: "192.0.2.8" }, { dst: "198.51.100.0/24", gw: "192.0.2.9" }),
    expected: [{ line: /198\.51\.100\.0\/24 dev/, reason: "one multipath route, not two of which one is never used" }],
  },
  {
    name: "two gateways for one destination, IPv6",
    plugin: "macvlan",
    steps: [{ command: "ADD" }, { command: "CHECK", code: 999 }, { command: "DEL" }],
    expected: [{ line: /^2 CHECK answer/, reason: "a route with several gateways has each of them" }],
    config: routed({ dst: "2001:db8:1::/48", gw: "2001:db8::8" }, { dst: "2001:db8:1::/48", gw: "2001:db8::9" }),
  },
  {
    name: "one route twice",
    plugin: "macvlan",
    config: routed({ dst: "198.51.100.0/24" }, { dst: "198.51.100.0/24" }),
    steps: refused,
    expected: [{ line: /^1 ADD/, reason: "is there once and no error" }],
  },
  {
    name: "a gateway that is out of reach",
    plugin: "macvlan",
    config: routed({ dst: "198.51.100.0/24", gw: "203.0.113.1" }),
    steps: refused,
    expected: [
      { line: /^1 ADD state \/ pod0 \/ /, reason: "a failed ADD leaves nothing" },
      { line: /answer \/ msg: .*network is unreachable/, reason: "the route in words that people use" },
    ],
  },
  {
    name: "a chosen MAC",
    plugin: "macvlan",
    config: network({ mac: "02:00:00:00:00:0A", ...plain }),
    macs: ["02:00:00:00:00:0a"],
  },
  {
    name: "a chosen MAC, the one of CNI_ARGS",
    plugin: "macvlan",
    config: network({ mac: "02:00:00:00:00:0a" }),
    args: "IgnoreUnknown=1;MAC=02:00:00:00:00:0b;K8S_POD_NAME=web",
    macs: ["02:00:00:00:00:0b"],
  },
  {
    name: "a chosen MAC, the runtime's",
    plugin: "macvlan",
    config: network({ mac: "02:00:00:00:00:0a", runtimeConfig: { mac: "02:00:00:00:00:0c" } }),
    args: "MAC=02:00:00:00:00:0b",
    macs: ["02:00:00:00:00:0c"],
  },
  { name: "a smaller MTU and a longer queue", plugin: "macvlan", config: network({ mtu: 1400, bcqueuelen: 2000 }) },
  { name: "the master of the default route", plugin: "macvlan", config: network({ master: "" }), setUp: defaultRoute },
  {
    name: "a master in the pod",
    plugin: "macvlan",
    config: network({ master: "up0", linkInContainer: true, ...plain }),
    setUp: masterInPod,
  },
  {
    name: "DNS settings of the config",
    plugin: "macvlan",
    config: network({ ...plain, dns: { nameservers: ["192.0.2.53"], search: ["a.test"] } }),
  },
  {
    name: "DNS settings of the IPAM plugin",
    plugin: "macvlan",
    config: network(fixed([v4], { dns: { nameservers: ["192.0.2.53"] } })),
    expected: [{ line: /result \/ dns: peer has nothing/, reason: "are kept, as bridge keeps them" }],
  },
  {
    name: "leases of host-local",
    plugin: "macvlan",
    config: ({ folder }) => network({ ipam: { type: "host-local", dataDir: folder, subnet: "192.0.2.0/24" } }),
  },
  {
    name: "the network twice in a pod",
    plugin: "macvlan",
    config: ({ folder }) => network({ ipam: { type: "host-local", dataDir: folder, subnet: "192.0.2.0/24" } }),
    steps: [
      { command: "ADD" },
      { command: "ADD", ifName: "net2" },
      { command: "CHECK", ifName: "net2" },
      { command: "DEL" },
      { command: "CHECK", ifName: "net2" },
      { command: "DEL", ifName: "net2" },
    ],
  },
  ...Object.entries({
    "an unknown mode": { mode: "zzz" },
    "an MTU above the master's": { mtu: 9000 },
    "a negative MTU": { mtu: -1 },
    "a MAC that is none": { mac: "xx" },
    "no master and no default route": { master: "" },
    "a master that is not there": { master: "eth7" },
    "a master that is no Ethernet device": { master: "lo" },
  }).map(([name, own]): Case => {
    return { name, plugin: "macvlan", config: network(own), steps: refused };
  }),
  {
    name: "a MAC that no device can have",
    plugin: "macvlan",
    config: network({ mac: "01:00:5e:00:00:01" }),
    steps: refused,
    expected: [{ line: /answer \/ msg: .*ours has "invalid args/, reason: "found before the kernel is asked" }],
  },
  {
    name: "unknown keys in CNI_ARGS",
    plugin: "macvlan",
    config: network(),
    args: "FOO=bar",
    steps: refused,
    expected: [{ line: /answer \/ code: peer has 999, ours has 4$/, reason: "it is the environment that is wrong" }],
  },
  {
    name: "an interface name that is taken",
    plugin: "macvlan",
    config: network(),
    steps: [{ command: "ADD" }, { command: "ADD", containerId: "another", code: 999 }],
    expected: [
      { line: /answer \/ msg: .*failed to create macvlan: file exists/, reason: "there is no rename to fail" },
    ],
  },
  {
    name: "an IPAM plugin that refuses",
    plugin: "macvlan",
    config: network(fixed([["192.0.2.10"]])),
    steps: refused,
    expected: [{ line: /^1 ADD state \/ pod0 \/ /, reason: "a failed ADD leaves nothing" }],
  },
  {
    name: "an IPAM plugin without an address",
    plugin: "macvlan",
    config: network(fixed([])),
    steps: refused,
    expected: [{ line: /^1 ADD state \/ pod0 \/ /, reason: "a failed ADD leaves nothing" }],
  },
  {
    name: "DEL in the absence of all that it might want",
    plugin: "macvlan",
    config: network(plain),
    steps: [
      { command: "DEL", netns: "" },
      { command: "DEL", netns: "/run/netns/nowhere" },
      { command: "ADD" },
      { command: "DEL", config: network({ master: "eth7" }), hasPrevResult: false },
      { command: "DEL", args: "FOO=bar" },
      { command: "DEL", before: (site) => site.pod()[Symbol.dispose]() },
    ],
  },
  {
    name: "CHECK of a link that somebody was at",
    plugin: "macvlan",
    config: network(fixed([v4], { routes: [{ dst: "198.51.100.0/24", gw: "192.0.2.9" }] })),
    steps: [
      { command: "ADD" },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("route del 198.51.100.0/24") },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("addr del 192.0.2.10/24 dev net1") },
      { command: "CHECK", code: 999, config: network({ ...plain, mode: "vepa" }) },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("link del net1") },
    ],
    expected: [{ line: /^2 CHECK answer \/ msg: .*Expected Route/, reason: "the route in words that people use" }],
  },
  {
    name: "CHECK of an address that is its own network",
    plugin: "macvlan",
    config: network(fixed([["192.0.2.10/32"]])),
    steps: [{ command: "ADD" }, { command: "CHECK", code: 999 }],
    expected: [{ line: /^2 CHECK answer/, reason: "a host route is no fault" }],
  },
  {
    name: "CHECK without a previous result",
    plugin: "macvlan",
    config: network(plain),
    steps: [{ command: "CHECK", code: 999 }],
  },
  { name: "STATUS", plugin: "macvlan", config: network(plain), steps: [{ command: "STATUS" }] },
  {
    name: "STATUS without the master",
    plugin: "macvlan",
    config: network({ ...plain, master: "eth7" }),
    steps: [{ command: "STATUS" }],
    expected: [{ line: /answer/, reason: "no ADD could be served" }],
  },
];

describeCases("macvlan", cases, common);
