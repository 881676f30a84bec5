// What the differential tables of plugins on a master (macvlan, ipvlan, vlan) share: networks, cases, and where ours differs on purpose.
import type { Case, ExpectedDifference, Site, Step } from "./compare.ts";

type Route = Readonly<Record<string, string | number>>;

/** static, with these addresses. */
export function fixed(addresses: readonly (readonly [address: string, gateway?: string])[], own: object = {}): object {
  const list = addresses.map(([address, gateway]) => (gateway === undefined ? { address } : { address, gateway }));
  return { ipam: { type: "static", addresses: list, ...own } };
}

export const v4 = ["192.0.2.10/24", "192.0.2.1"] as const;
/** Without a gateway. */
export const v6 = ["2001:db8::10/64"] as const;
export const plain = fixed([v4], { routes: [{ dst: "0.0.0.0/0" }] });

export const addDel: readonly Step[] = [{ command: "ADD" }, { command: "DEL" }];

function masterInPod(site: Site): void {
  site.pod().ip("link add up0 type veth peer name up1", "link set up0 up", "link set up1 up");
}

export function defaultRoute({ node }: Site): void {
  node.ip("addr add 198.51.100.1/24 dev eth0", "route add default via 198.51.100.254");
}

export const common: readonly ExpectedDifference[] = [
  { line: /result \/ interfaces \/ 0 \/ mtu: peer has nothing/, reason: "the result tells the MTU, as 1.1.0 can" },
  { line: /answer \/ code: peer has 999, ours has 7$/, reason: "a wrong config has the specification's code" },
  {
    line: /net1 2001:db8::[^/]*\/\d+ \/ nodad: peer has nothing/,
    reason: "docs/ipv6-dad.md",
  },
  { line: /files \/ lan\/\.polynic/, reason: "host-local keeps an index by holder" },
];

/** The networks and cases of one of these plugins; `own` is what each of its configs says. */
export function childPlugin(plugin: string, own: object = {}) {
  const network = (more: object = {}, cniVersion = "1.1.0"): object => ({
    cniVersion,
    name: "lan",
    type: plugin,
    master: "eth0",
    ...own,
    ...more,
  });
  const routed = (...routes: readonly Route[]): object => network(fixed([v4, v6], { routes }));
  const version = (cniVersion: string): Case => {
    const hasCheck = !/^0\.[0-3]\./.test(cniVersion);
    const config = network(plain, cniVersion);
    return { name: `version ${cniVersion}`, plugin, config, ...(hasCheck ? {} : { steps: addDel }) };
  };
  const inPod = (name: string): Case => ({
    name,
    plugin,
    config: network({ master: "up0", linkInContainer: true, ...plain }),
    setUp: masterInPod,
  });
  return { network, routed, version, inPod, addressing: addressingCases(plugin, network, routed) };
}

function addressingCases(
  plugin: string,
  network: (more: object) => object,
  routed: (...routes: readonly Route[]) => object,
): readonly Case[] {
  return [
    {
      name: "routes with metric and table",
      plugin,
      config: routed(
        { dst: "198.51.100.0/24", priority: 50 },
        { dst: "203.0.113.0/24", gw: "192.0.2.9", table: 77 },
        { dst: "2001:db8:1::/48", gw: "2001:db8::1", priority: 5 },
      ),
      steps: addDel,
    },
    {
      name: "a route with MTU and MSS",
      plugin,
      config: routed({ dst: "198.51.100.0/24", mtu: 1300, advmss: 1200 }),
      expected: [
        { line: /198\.51\.100\.0\/24 dev net1 \/ metrics: peer has nothing/, reason: "they reach the kernel" },
      ],
    },
    {
      name: "two gateways for one destination, IPv4",
      plugin,
      config: routed({ dst: "198.51.100.0/24", gw: "192.0.2.8" }, { dst: "198.51.100.0/24", gw: "192.0.2.9" }),
      expected: [
        { line: /198\.51\.100\.0\/24 dev/, reason: "one multipath route, not two of which one is never used" },
      ],
    },
    {
      name: "DNS settings of the IPAM plugin",
      plugin,
      config: network(fixed([v4], { dns: { nameservers: ["192.0.2.53"] } })),
      expected: [{ line: /result \/ dns: peer has nothing/, reason: "are kept, as bridge keeps them" }],
    },
    {
      name: "CHECK of addresses that are their own networks",
      plugin,
      config: network(fixed([["192.0.2.10/32"]])),
      steps: [{ command: "ADD" }, { command: "CHECK", code: 999 }],
      expected: [{ line: /^2 CHECK answer/, reason: "a host route is no fault" }],
    },
  ];
}
