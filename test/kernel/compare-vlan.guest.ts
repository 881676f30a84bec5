import * as bridge from "../peers/bridge-cases.ts";
import { addDel, childPlugin, common, fixed, plain, v4, v6 } from "../peers/child-cases.ts";
import type { Case, ExpectedDifference, Step } from "../peers/compare.ts";
import { comparisons } from "./comparisons.ts";
import type { GuestCases } from "./uml.ts";

const { network, version, inPod } = childPlugin("vlan", { vlanId: 100 });

const refused: readonly Step[] = [{ command: "ADD", code: 999 }];

const expected: readonly ExpectedDifference[] = [
  ...common,
  { line: / (net\d|eth0) \/ ipv[46]\.(arp|ndisc)_notify: /, reason: "neighbours learn at once who has an address now" },
];

/** What the Go plugin leaves of an ADD that fails. */
const noDebris: ExpectedDifference = {
  line: /^\d ADD state \/ pod\d \/ .*: peer has .*, ours has nothing$/,
  reason: "a failed ADD leaves nothing",
};
const ownWords: ExpectedDifference = { line: /^\d CHECK answer \/ msg:/, reason: "in the words of all our plugins" };

const vlans: readonly Case[] = [
  inPod("a master in the pod"),
  { name: "IPv4 with a default route", plugin: "vlan", config: network(plain) },
  {
    name: "both families, several addresses, routes",
    plugin: "vlan",
    config: network(
      fixed([v4, ["198.51.100.10/25", "198.51.100.1"], v6], {
        routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0", gw: "2001:db8::1" }, { dst: "203.0.113.0/24", priority: 50 }],
      }),
    ),
  },
  ...[0, 1, 4094].map((vlanId): Case => {
    return { name: `id ${vlanId}`, plugin: "vlan", config: network({ vlanId, ...plain }) };
  }),
  ...["0.2.0", "0.3.1", "0.4.0", "1.0.0"].map(version),
  { name: "a smaller MTU", plugin: "vlan", config: network({ mtu: 1400, ...plain }) },
  { name: "an interface name that the node has too", plugin: "vlan", config: network(plain), ifName: "eth0" },
  {
    name: "DNS settings of the config",
    plugin: "vlan",
    config: network({ ...plain, dns: { nameservers: ["192.0.2.53"] } }),
    steps: addDel,
  },
  {
    name: "two VLANs in a pod, with leases of host-local",
    plugin: "vlan",
    config: ({ folder }) => network({ ipam: { type: "host-local", dataDir: folder, subnet: "192.0.2.0/24" } }),
    steps: [
      { command: "ADD" },
      {
        command: "ADD",
        ifName: "net2",
        config: ({ folder }) =>
          network({ vlanId: 200, ipam: { type: "host-local", dataDir: folder, subnet: "192.0.2.0/24" } }),
      },
      { command: "CHECK" },
      { command: "DEL" },
      { command: "DEL", ifName: "net2" },
    ],
  },
  {
    name: "an id that a pod has",
    plugin: "vlan",
    config: network(plain),
    steps: [{ command: "ADD" }, { command: "ADD", pod: 1, code: 999 }],
  },
  {
    name: "an id that the node has",
    plugin: "vlan",
    config: network(plain),
    setUp: ({ node }) => node.ip("link add link eth0 name eth0.100 type vlan id 100"),
    steps: refused,
  },
  ...Object.entries({
    "an id above 4094": { vlanId: 4095 },
    "an id below 0": { vlanId: -1 },
    "an MTU above the master's": { mtu: 9000 },
    "a negative MTU": { mtu: -1 },
    "a master that is not there": { master: "eth7" },
    "a master that can't carry VLANs": { master: "lo" },
    "no master": { master: "" },
  }).map(([name, own]): Case => {
    const words = name.startsWith("an id")
      ? [{ line: /answer \/ msg: .*must be between 0 and 4094/, reason: "4095 is refused by both" }]
      : [];
    return { name, plugin: "vlan", config: network({ ...plain, ...own }), steps: refused, expected: words };
  }),
  ...Object.entries({
    "an IPAM plugin that refuses": fixed([["192.0.2.10"]]),
    "an IPAM plugin without an address": fixed([]),
    "no IPAM plugin": {},
  }).map(([name, own]): Case => {
    const words =
      name === "no IPAM plugin" ? [{ line: /answer \/ msg: /, reason: "seen before anything is made" }] : [];
    return { name, plugin: "vlan", config: network(own), steps: refused, expected: [noDebris, ...words] };
  }),
  {
    name: "a master that is down",
    plugin: "vlan",
    config: network(plain),
    setUp: ({ node }) => node.ip("link set eth0 down"),
    steps: refused,
    expected: [noDebris],
  },
  {
    name: "DEL in the absence of what it might want",
    plugin: "vlan",
    config: network(plain),
    steps: [
      { command: "DEL", netns: "" },
      { command: "ADD" },
      { command: "DEL", config: network({ master: "eth7" }), hasPrevResult: false, code: 999 },
      { command: "DEL", before: (site) => site.pod()[Symbol.dispose]() },
    ],
    expected: [{ line: /^3 DEL/, reason: "DEL needs no master" }],
  },
  {
    name: "CHECK of a link that somebody was at",
    plugin: "vlan",
    config: network(plain),
    steps: [
      { command: "ADD" },
      { command: "CHECK", code: 999, config: network({ ...plain, vlanId: 101 }) },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("addr del 192.0.2.10/24 dev net1") },
      { command: "CHECK", code: 999, before: (site) => site.pod().ip("link del net1") },
    ],
    expected: [ownWords],
  },
  {
    name: "STATUS, with the master and without",
    plugin: "vlan",
    config: network(plain),
    steps: [{ command: "STATUS" }, { command: "STATUS", config: network({ ...plain, master: "eth7" }) }],
    expected: [{ line: /^2 STATUS answer/, reason: "no ADD could be served" }],
  },
];

const trunk = [{ minID: 200, maxID: 203 }, { id: 101 }, { id: 300 }];

const bridges: readonly Case[] = [
  { name: "bridge: VLAN 100", plugin: "bridge", config: bridge.layer2({ vlan: 100 }), steps: bridge.withoutCheck },
  {
    name: "bridge: VLAN 100 and no default VLAN",
    plugin: "bridge",
    config: bridge.layer2({ vlan: 100, preserveDefaultVlan: false }),
    steps: bridge.withoutCheck,
  },
  {
    name: "bridge: VLAN 100 beside the default VLAN",
    plugin: "bridge",
    config: bridge.layer2({ vlan: 100, preserveDefaultVlan: true }),
    steps: bridge.withoutCheck,
  },
  {
    name: "bridge: a trunk of ranges and ids",
    plugin: "bridge",
    config: bridge.layer2({ vlanTrunk: trunk }),
    steps: bridge.withoutCheck,
  },
  {
    name: "bridge: a trunk beside VLAN 100",
    plugin: "bridge",
    config: bridge.layer2({ vlan: 100, vlanTrunk: trunk }),
    steps: bridge.withoutCheck,
  },
  {
    name: "bridge: an empty trunk",
    plugin: "bridge",
    config: bridge.layer2({ vlanTrunk: [] }),
    steps: bridge.withoutCheck,
  },
  { name: "bridge: addresses in VLAN 100", plugin: "bridge", config: bridge.network({ vlan: 100 }) },
  {
    name: "bridge: the gateway of VLAN 100",
    plugin: "bridge",
    config: bridge.network({ vlan: 100, isGateway: true }),
  },
  {
    name: "bridge: the default gateway of VLAN 100 in both families",
    plugin: "bridge",
    config: bridge.network({ vlan: 100, isDefaultGateway: true }, bridge.ipam([bridge.v4, bridge.v6])),
  },
  {
    name: "bridge: two pods in two VLANs",
    plugin: "bridge",
    config: bridge.layer2({ vlan: 100 }),
    steps: [
      { command: "ADD" },
      { command: "ADD", pod: 1, config: bridge.layer2({ vlan: 200 }) },
      { command: "DEL" },
      { command: "DEL", pod: 1 },
    ],
  },
  {
    name: "bridge: VLAN 100 on a bridge that does not filter",
    plugin: "bridge",
    config: bridge.layer2({ vlan: 100 }),
    setUp: ({ node }) => node.ip("link add cni0 address 02:00:00:00:00:10 type bridge"),
    macs: ["02:00:00:00:00:10"],
    steps: bridge.withoutCheck,
  },
];

export const cases: GuestCases = {
  ...comparisons(vlans, expected),
  ...comparisons(
    bridges.map((subject) => ({ ...subject, expected: [...bridgeMac(subject), ...(subject.expected ?? [])] })),
    bridge.common,
  ),
};

/** A bridge that the plugin makes, and that is not a gateway itself: that of a VLAN stands beside it. */
function bridgeMac({ setUp }: Case): readonly ExpectedDifference[] {
  return setUp === undefined ? bridge.ownMac : [];
}
