import { childPlugin, common, defaultRoute, fixed, plain, v4 } from "./child-cases.ts";
import type { Case, Step } from "./compare.ts";
import { describeCases } from "./describe-cases.ts";

const { network, routed, version, inPod, addressing } = childPlugin("macvlan");
const v6 = ["2001:db8::10/64", "2001:db8::1"] as const;

const refused: readonly Step[] = [{ command: "ADD", code: 999 }, { command: "DEL" }];

const cases: readonly Case[] = [
  ...addressing,
  inPod("a master in the pod"),
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
  ...["0.3.0", "0.3.1", "0.4.0", "1.0.0"].map(version),
  ...["0.1.0", "0.2.0"].map(version),
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
    name: "DNS settings of the config",
    plugin: "macvlan",
    config: network({ ...plain, dns: { nameservers: ["192.0.2.53"], search: ["a.test"] } }),
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
