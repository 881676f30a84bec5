import { addDel, childPlugin, common, defaultRoute, fixed, plain, v4, v6 } from "../peers/child-cases.ts";
import type { Case, ExpectedDifference, Site, Step } from "../peers/compare.ts";
import { comparisons } from "./comparisons.ts";
import type { GuestCases } from "./uml.ts";

const { network, routed, version, inPod, addressing } = childPlugin("ipvlan");

const refused: readonly Step[] = [{ command: "ADD", code: 999 }];
/** A node that a macvlan of another network has taken. */
const macvlanOnNode = ({ node }: Site) => node.ip("link add link eth0 name mv0 type macvlan mode bridge");

const chained = (own: object) => ({
  cniVersion: "1.0.0",
  name: "lan",
  type: "ipvlan",
  prevResult: { cniVersion: "1.0.0", interfaces: [{ name: "eth0" }], ...own },
});

/** What the Go plugin leaves of an ADD that fails. */
const noDebris: ExpectedDifference = {
  line: /^1 ADD state \/ pod0 \/ .*: peer has .*, ours has nothing$/,
  reason: "a failed ADD leaves nothing",
};
const ownWords: ExpectedDifference = { line: /^\d CHECK answer \/ msg:/, reason: "in the words of all our plugins" };

const table: readonly Case[] = [
  ...addressing,
  inPod("a master in the pod"),
  ...["l2", "l3", "l3s"].map((mode): Case => {
    return { name: `mode ${mode}`, plugin: "ipvlan", config: network({ mode, mtu: 1400, ...plain }) };
  }),
  { name: "IPv6 without a gateway", plugin: "ipvlan", config: network(fixed([v6])) },
  {
    name: "both families, several addresses, default routes",
    plugin: "ipvlan",
    config: network(
      fixed([v4, ["198.51.100.10/25", "198.51.100.1"], v6], {
        routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0", gw: "2001:db8::1" }],
      }),
    ),
  },
  ...["0.2.0", "0.3.1", "0.4.0", "1.0.0"].map(version),
  {
    name: "a gateway that is out of reach",
    plugin: "ipvlan",
    config: routed({ dst: "198.51.100.0/24", gw: "203.0.113.1" }),
    steps: [{ command: "ADD", code: 999 }, { command: "DEL" }],
    expected: [
      noDebris,
      { line: /answer \/ msg: .*network is unreachable/, reason: "the route in words that people use" },
    ],
  },
  {
    name: "an MTU above the master's",
    plugin: "ipvlan",
    config: network({ mtu: 9000, ...plain }),
    steps: [{ command: "ADD" }],
    expected: [{ line: /^1 ADD/, reason: "refused: the wire takes no such packets" }],
  },
  {
    name: "the master of the default route",
    plugin: "ipvlan",
    config: network({ master: "", ...plain }),
    setUp: defaultRoute,
    steps: addDel,
  },
  {
    name: "an interface name that the node has too",
    plugin: "ipvlan",
    config: network(plain),
    ifName: "eth0",
  },
  {
    name: "leases of host-local, the network twice in a pod",
    plugin: "ipvlan",
    config: ({ folder }) => network({ ipam: { type: "host-local", dataDir: folder, subnet: "192.0.2.0/24" } }),
    steps: [
      { command: "ADD" },
      { command: "ADD", ifName: "net2" },
      { command: "DEL" },
      { command: "CHECK", ifName: "net2" },
      { command: "DEL", ifName: "net2" },
    ],
  },
  {
    name: "a master and addresses of the previous result",
    plugin: "ipvlan",
    config: chained({
      ips: [{ address: "192.0.2.10/24", gateway: "192.0.2.1", interface: 0 }, { address: "2001:db8::10/64" }],
      routes: [{ dst: "198.51.100.0/24" }],
    }),
    steps: [{ command: "ADD" }, { command: "DEL" }],
  },
  {
    name: "a master of the previous result, and an IPAM plugin",
    plugin: "ipvlan",
    config: { ...chained({ ips: [{ address: "192.0.2.77/24" }] }), ...plain },
    steps: [{ command: "ADD" }, { command: "DEL" }],
  },
  {
    name: "a previous result of two interfaces",
    plugin: "ipvlan",
    config: chained({ interfaces: [{ name: "eth0" }, { name: "eth1" }] }),
    steps: refused,
  },
  {
    name: "neither an IPAM plugin nor a previous result",
    plugin: "ipvlan",
    config: network(),
    steps: refused,
    expected: [noDebris],
  },
  {
    name: "an empty ipam",
    plugin: "ipvlan",
    config: network({ ipam: {} }),
    steps: refused,
    expected: [{ line: /^1 ADD/, reason: "an interface without addresses, as macvlan has it" }],
  },
  ...Object.entries({
    "an unknown mode": { mode: "l4" },
    "no master and no default route": { master: "" },
    "a master that is not there": { master: "eth7" },
    "a master that is no Ethernet device": { master: "lo" },
  }).map(([name, own]): Case => {
    return { name, plugin: "ipvlan", config: network({ ...plain, ...own }), steps: refused };
  }),
  {
    name: "a master that a macvlan has",
    plugin: "ipvlan",
    config: network(plain),
    setUp: macvlanOnNode,
    steps: refused,
  },
  {
    name: "another mode on the same master",
    plugin: "ipvlan",
    config: network(plain),
    steps: [
      { command: "ADD" },
      { command: "ADD", pod: 1, config: network({ mode: "l3", ...fixed([["192.0.2.11/24"]]) }) },
      { command: "CHECK", code: 999 },
    ],
    expected: [
      { line: /^2 ADD/, reason: "refused: it would change the mode of the first" },
      { line: /^3 CHECK/, reason: "and so the first is as it was" },
    ],
  },
  {
    name: "an address that another pod has",
    plugin: "ipvlan",
    config: network(plain),
    steps: [{ command: "ADD" }, { command: "ADD", pod: 1, code: 999 }, { command: "DEL", pod: 1 }],
    expected: [
      { line: /^2 ADD state \/ pod1 \/ .*, ours has nothing$/, reason: "a failed ADD leaves nothing" },
      { line: /answer \/ msg: .*Interface:0x/, reason: "the address in words that people use" },
    ],
  },
  {
    name: "an interface name that is taken",
    plugin: "ipvlan",
    config: network(plain),
    steps: [{ command: "ADD" }, { command: "ADD", containerId: "another", code: 999 }],
    expected: [
      { line: /answer \/ msg: .*failed to create ipvlan: file exists/, reason: "there is no rename to fail" },
      { line: /^2 ADD state \/ pod0 \/ .*, ours has nothing$/, reason: "a failed ADD leaves nothing" },
    ],
  },
  ...Object.entries({
    "an IPAM plugin that refuses": fixed([["192.0.2.10"]]),
    "an IPAM plugin without an address": fixed([]),
  }).map(([name, own]): Case => {
    return { name, plugin: "ipvlan", config: network(own), steps: refused, expected: [noDebris] };
  }),
  {
    name: "DEL in the absence of what it might want",
    plugin: "ipvlan",
    config: network(plain),
    steps: [
      { command: "DEL", netns: "" },
      { command: "DEL", netns: "/run/netns/nowhere" },
      { command: "ADD" },
      { command: "DEL", config: network({ master: "eth7" }), hasPrevResult: false },
      { command: "DEL", config: network({ master: "" }), hasPrevResult: false, code: 999 },
      { command: "DEL", before: (site) => site.pod()[Symbol.dispose]() },
    ],
    expected: [{ line: /^5 DEL/, reason: "DEL needs no master" }],
  },
  {
    name: "CHECK of a link that somebody was at",
    plugin: "ipvlan",
    config: network(fixed([v4], { routes: [{ dst: "198.51.100.0/24", gw: "192.0.2.9" }] })),
    steps: [
      { command: "ADD" },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("route del 198.51.100.0/24") },
      { command: "CHECK", code: 999, config: network({ ...plain, mode: "l3" }) },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("link del net1") },
    ],
    expected: [ownWords],
  },
  {
    name: "STATUS, with the master and without",
    plugin: "ipvlan",
    config: network(plain),
    steps: [{ command: "STATUS" }, { command: "STATUS", config: network({ ...plain, master: "eth7" }) }],
    expected: [{ line: /^2 STATUS answer/, reason: "no ADD could be served" }],
  },
];

export const cases: GuestCases = comparisons(table, common);
