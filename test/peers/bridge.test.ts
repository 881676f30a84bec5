import { common, ipam, layer2, network, ownMac, v4, v6, withoutCheck } from "./bridge-cases.ts";
import type { ExpectedDifference, Site } from "./compare.ts";
import { describeCases } from "./describe-cases.ts";

const namespaceTimeoutMs = 60_000;
const pollMs = 20;
const other4 = [{ subnet: "10.9.9.0/24" }];

/** What is wrong with a config has code 7 of the specification. */
const configCode: ExpectedDifference = { line: /ADD answer \/ code: peer has 999, ours has 7$/, reason: "honest code" };
/** What an ADD that fails leaves at upstream. */
const noDebris: ExpectedDifference = {
  line: /ADD state .*: peer has .*, ours has nothing$/,
  reason: "ours takes everything back, or looks before it acts",
};

/** The kernel takes a namespace's links away some time after its last user has gone: until then the Go plugin leaves the node's end. */
function loseNamespace(site: Site): void {
  const ports = () => site.node.run("ip", "-o", "link", "show", "master", "cni0").trim();
  const deadline = Date.now() + namespaceTimeoutMs;
  site.pod()[Symbol.dispose]();
  while (ports() !== "") {
    if (Date.now() > deadline) throw new Error(`cni0 has ports still: ${ports()}`);
    Bun.sleepSync(pollMs);
  }
}

describeCases(
  "bridge",
  [
    { name: "gives an address", plugin: "bridge", expected: ownMac, config: network() },
    { name: "is the gateway", plugin: "bridge", config: network({ isGateway: true }) },
    {
      name: "is the default gateway of both families",
      plugin: "bridge",
      config: network(
        { isDefaultGateway: true },
        ipam([v4, v6], { routes: [{ dst: "192.168.0.0/16", priority: 50 }] }),
      ),
    },
    {
      name: "is the default gateway of IPv6",
      plugin: "bridge",
      config: network({ isDefaultGateway: true }, ipam([v6])),
    },
    ...["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"].map((version) => ({
      name: `answers in version ${version}`,
      plugin: "bridge",
      config: network({ isDefaultGateway: true }, ipam([v4, v6]), version),
      ...(version === "0.4.0" || version === "1.0.0" ? {} : { steps: withoutCheck }),
    })),
    { name: "joins without addresses", plugin: "bridge", expected: ownMac, config: layer2(), steps: withoutCheck },
    {
      name: "joins without addresses in version 0.4.0",
      plugin: "bridge",
      expected: ownMac,
      config: layer2({}, "0.4.0"),
      steps: withoutCheck,
    },
    {
      name: "sets MTU, hairpin mode and isolation",
      plugin: "bridge",
      expected: [{ line: /DEL state .* br7 \/ mtu: /, reason: "ours keeps the MTU when the last port leaves" }],
      config: network({ bridge: "br7", mtu: 1400, hairpinMode: true, portIsolation: true, isGateway: true }),
    },
    { name: "sets promiscuous mode", plugin: "bridge", expected: ownMac, config: network({ promiscMode: true }) },
    {
      name: "leaves the pod's interface down",
      plugin: "bridge",
      expected: ownMac,
      config: layer2({ disableContainerInterface: true }),
      steps: withoutCheck,
    },
    {
      name: "gives the MAC of CNI_ARGS",
      plugin: "bridge",
      config: network({ isGateway: true }),
      args: "IgnoreUnknown=1;MAC=02:00:00:00:00:41",
      macs: ["02:00:00:00:00:41"],
    },
    {
      name: "prefers the MAC of the runtime",
      plugin: "bridge",
      expected: ownMac,
      config: network({
        args: { cni: { mac: "02:00:00:00:00:42" } },
        runtimeConfig: { mac: "02-00-00-00-00-43" },
      }),
      args: "IgnoreUnknown=1;MAC=02:00:00:00:00:41",
      macs: ["02:00:00:00:00:43"],
    },
    {
      name: "attaches one pod twice and another pod",
      plugin: "bridge",
      config: network({ isDefaultGateway: true }),
      steps: [
        { command: "ADD" },
        { command: "ADD", pod: 1 },
        { command: "ADD", ifName: "net2", config: network() },
        { command: "CHECK" },
        { command: "DEL" },
        { command: "CHECK", pod: 1 },
        { command: "DEL", pod: 1 },
        { command: "DEL", ifName: "net2" },
      ],
    },
    {
      name: "takes a bridge that is there as it is",
      plugin: "bridge",
      config: network({ bridge: "br0", isGateway: true }),
      setUp: ({ node }) =>
        node.ip("link add br0 address 02:00:00:00:00:10 type bridge", "addr add 10.1.2.1/24 dev br0"),
      macs: ["02:00:00:00:00:10"],
    },
    {
      name: "refuses a bridge that has another address",
      plugin: "bridge",
      expected: [noDebris, ...ownMac.slice(0, 1)],
      config: network({ isGateway: true }),
      setUp: ({ node }) => node.ip("link add cni0 type bridge", "addr add 10.1.2.9/24 dev cni0"),
      steps: [{ command: "ADD", code: 999 }, { command: "DEL" }],
    },
    {
      name: "replaces another address when forced to",
      plugin: "bridge",
      config: network({ isGateway: true, forceAddress: true }),
      setUp: ({ node }) => node.ip("link add cni0 type bridge", "addr add 10.1.2.9/24 dev cni0"),
    },
    {
      name: "gives a bridge the gateways of several IPv6 networks",
      plugin: "bridge",
      config: network({ isGateway: true }, ipam([v6])),
      setUp: ({ node }) => node.ip("link add cni0 type bridge", "addr add fd00:2::1/64 dev cni0 nodad"),
    },
    {
      name: "refuses a device that is no bridge",
      plugin: "bridge",
      config: network({ bridge: "eth0" }),
      steps: [{ command: "ADD", code: 999 }, { command: "DEL" }],
    },
    {
      name: "refuses an interface that the pod has",
      plugin: "bridge",
      expected: ownMac,
      config: network(),
      steps: [{ command: "ADD" }, { command: "ADD", containerId: "ctr9", code: 999 }, { command: "DEL" }],
    },
    {
      name: "refuses when no address is left",
      plugin: "bridge",
      expected: [
        ...ownMac,
        noDebris,
        { line: /ADD answer \/ code: peer has 999, ours has 50$/, reason: "honest code" },
      ],
      config: network({}, ipam([[{ subnet: "10.1.2.0/30" }]])),
      steps: [
        { command: "ADD" },
        { command: "ADD", pod: 1, code: 999 },
        { command: "DEL", pod: 1 },
        { command: "DEL" },
      ],
    },
    {
      name: "deletes what lost its namespace",
      plugin: "bridge",
      config: network({ isGateway: true }),
      steps: [{ command: "ADD" }, { command: "DEL", before: loseNamespace }, { command: "DEL", netns: "" }],
    },
    {
      name: "deletes what was never added",
      plugin: "bridge",
      config: network({ isGateway: true }),
      steps: [{ command: "DEL" }],
    },
    {
      name: "gives the DNS of the config",
      plugin: "bridge",
      expected: ownMac,
      config: network({ dns: { nameservers: ["192.0.2.53"], search: [] } }),
    },
    {
      name: "masquerades by iptables",
      plugin: "bridge",
      config: network({ ipMasq: true, ipMasqBackend: "iptables", isGateway: true }, ipam([v4, v6])),
    },
    {
      name: "refuses an unknown way to masquerade",
      plugin: "bridge",
      expected: [configCode, noDebris, { line: /2 DEL state .*ours has nothing$/, reason: "as nothing was ever made" }],
      config: network({ ipMasq: true, ipMasqBackend: "foo" }),
      steps: [{ command: "ADD", code: 999 }, { command: "DEL" }],
    },
    {
      name: "refuses a VLAN that can't be",
      plugin: "bridge",
      expected: [configCode],
      config: network({ vlan: 4095 }),
      steps: [{ command: "ADD", code: 999 }],
    },
    {
      name: "refuses hairpin mode on a promiscuous bridge",
      plugin: "bridge",
      expected: [configCode],
      config: network({ hairpinMode: true, promiscMode: true }),
      steps: [{ command: "ADD", code: 999 }],
    },
    {
      name: "refuses addresses for an interface that stays down",
      plugin: "bridge",
      expected: [configCode],
      config: network({ disableContainerInterface: true }),
      steps: [{ command: "ADD", code: 999 }],
    },
    {
      name: "finds what somebody did to the pod",
      plugin: "bridge",
      config: network({ isGateway: true }),
      steps: [
        { command: "ADD" },
        { command: "CHECK", before: (site) => site.pod().ip("addr flush dev net1"), code: 999 },
        { command: "DEL" },
      ],
    },
    {
      name: "finds that the port has left the bridge",
      plugin: "bridge",
      expected: ownMac,
      config: network(),
      steps: [
        { command: "ADD" },
        { command: "CHECK", before: ({ node }) => node.ip("link del cni0"), code: 999 },
        { command: "DEL" },
      ],
    },
    {
      name: "refuses a second IPv4 network on the bridge",
      plugin: "bridge",
      expected: [noDebris],
      config: network({ isGateway: true }),
      steps: [
        { command: "ADD" },
        { command: "ADD", pod: 1, config: network({ isGateway: true, name: "others" }, ipam([other4])), code: 999 },
        { command: "DEL", pod: 1, config: network({ isGateway: true, name: "others" }, ipam([other4])) },
        { command: "DEL" },
      ],
    },
    {
      name: "says that it can be used",
      plugin: "bridge",
      expected: [{ line: /files \/ pods/, reason: "host-local tries to lock" }],
      config: network(),
      steps: [{ command: "STATUS" }],
    },
  ],
  common,
);
