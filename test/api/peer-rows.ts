// Pods that Multus and polynic are both asked to attach: what their annotations ask for, and which networks there are.
import type { ApiSite } from "../kit/api-site.ts";
import type { Json } from "../kit/multus-site.ts";

export interface NetworkRow {
  readonly name: string;
  readonly config: (site: ApiSite) => Json | string;
}

export interface PeerRow {
  readonly name: string;
  /** The annotation; anything but a text is written as JSON. */
  readonly networks?: unknown;
  readonly annotations?: (site: ApiSite) => Readonly<Record<string, string>>;
  readonly definitions?: readonly NetworkRow[];
  readonly conf?: (site: ApiSite) => Json;
  readonly fails?: true;
  /** Where the two differ on purpose: a pattern of the line, and why. */
  readonly differs?: readonly (readonly [line: RegExp, reason: string])[];
}

const macvlan =
  (name: string, subnet: string, over: Json = {}) =>
  (site: ApiSite): Json =>
    site.local.macvlan(name, subnet, over);

const network = (name: string, subnet: string, over: Json = {}): NetworkRow => ({
  name,
  config: macvlan(name, subnet, over),
});

const storage = network("storage", "10.101.0.0/16");
const backup = network("backup", "10.102.0.0/16");

const fixed: NetworkRow = {
  name: "fixed",
  config: () => ({
    cniVersion: "1.0.0",
    name: "fixed",
    type: "macvlan",
    master: "eth0",
    capabilities: { ips: true, mac: true },
    ipam: { type: "static" },
  }),
};

const list = (name: string, over: Json, ...plugins: readonly Json[]): NetworkRow => ({
  name,
  config: () => ({ cniVersion: "1.0.0", name, plugins, ...over }),
});

const plainMacvlan = (site: ApiSite, cniVersion: string, subnet: string): Json => {
  const { cniVersion: _, ...rest } = site.local.macvlan("old", subnet);
  return cniVersion === "" ? rest : { cniVersion, ...rest };
};

const noLink = "the specification asks for an element for every attachment; Multus leaves it out without interfaces";

export const rows: readonly PeerRow[] = [
  { name: "no annotation" },
  { name: "an empty annotation", annotations: () => ({ "k8s.v1.cni.cncf.io/networks": "" }) },
  { name: "one network", networks: "storage", definitions: [storage] },
  { name: "two networks", networks: "storage,backup", definitions: [storage, backup] },
  { name: "spaces around the names", networks: " storage , backup ", definitions: [storage, backup] },
  { name: "the same network twice", networks: "storage,storage", definitions: [storage] },
  { name: "a network with a name for its interface", networks: "storage@disk0", definitions: [storage] },
  {
    name: "interfaces named and not named",
    networks: [{ name: "storage" }, { name: "backup", interface: "ext0" }, { name: "storage" }],
    definitions: [storage, backup],
  },
  {
    name: "the old key for the interface",
    networks: [{ name: "storage", interfaceRequest: "old0" }],
    definitions: [storage],
  },
  {
    name: "addresses",
    networks: [{ name: "fixed", ips: ["10.103.0.7/24", "fd00:103::7/64"] }],
    definitions: [fixed],
  },
  {
    name: "addresses and a MAC",
    networks: [{ name: "fixed", ips: ["10.103.0.8/24"], mac: "02:00:00:00:01:08" }],
    definitions: [fixed],
  },
  {
    name: "arguments for a plugin",
    networks: [{ name: "storage", "cni-args": { ips: ["10.101.0.99"] } }],
    definitions: [storage],
  },
  {
    name: "a list of plugins",
    networks: "tuned",
    definitions: [
      list(
        "tuned",
        {},
        {
          type: "macvlan",
          master: "eth0",
          ipam: { type: "static", addresses: [{ address: "10.104.0.2/24", gateway: "10.104.0.1" }] },
        },
        { type: "tuning", sysctl: { "net.ipv4.conf.IFNAME.arp_notify": "1" } },
      ),
    ],
  },
  {
    name: "a bridge, whose result has three interfaces",
    networks: "local",
    definitions: [
      {
        name: "local",
        config: (site) => ({
          cniVersion: "1.0.0",
          name: "local",
          type: "bridge",
          bridge: "br-local",
          isGateway: true,
          ipam: { type: "host-local", dataDir: site.local.path("leases"), subnet: "10.105.0.0/16" },
        }),
      },
    ],
  },
  {
    name: "a bridge with a default route",
    conf: (site) => ({
      delegates: [
        {
          cniVersion: "1.0.0",
          name: "cluster",
          type: "bridge",
          bridge: "br-cluster",
          isDefaultGateway: true,
          ipam: { type: "host-local", dataDir: site.local.path("leases"), subnet: "10.106.0.0/16" },
        },
      ],
    }),
    differs: [
      [/^result \/ cniVersion: Multus has "1.0.0"/, "the runtime asked for the version of its own config, 1.1.0"],
    ],
  },
  {
    name: "a network without addresses",
    networks: "bare",
    definitions: [
      { name: "bare", config: () => ({ cniVersion: "1.0.0", name: "bare", type: "macvlan", master: "eth0" }) },
    ],
  },
  {
    name: "IPv6 alone",
    networks: "six",
    definitions: [network("six", "fd00:107::/64")],
  },
  {
    name: "both families",
    networks: "dual",
    definitions: [
      network("dual", "", { ipam: { ranges: [[{ subnet: "10.108.0.0/16" }], [{ subnet: "fd00:108::/64" }]] } }),
    ],
  },
  {
    name: "DNS in the result",
    networks: "named",
    definitions: [
      {
        name: "named",
        config: () => ({
          cniVersion: "1.0.0",
          name: "named",
          type: "macvlan",
          master: "eth0",
          ipam: {
            type: "static",
            addresses: [{ address: "10.109.0.2/24" }],
            dns: { nameservers: ["10.109.0.53"], domain: "example.com", search: ["a.example.com"] },
          },
        }),
      },
    ],
    differs: [[/dns/, "the Go macvlan drops what its IPAM plugin says of DNS"]],
  },
  ...["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"].map((cniVersion) => ({
    name: `a definition of version ${cniVersion}`,
    networks: "old",
    definitions: [{ name: "old", config: (site: ApiSite) => plainMacvlan(site, cniVersion, "10.110.0.0/16") }],
  })),
  {
    name: "a definition of version 0.2.0, whose result has no interfaces",
    networks: "old",
    definitions: [{ name: "old", config: (site) => plainMacvlan(site, "0.2.0", "10.110.0.0/16") }],
    differs: [[/^status/, noLink]],
  },
  {
    name: "a definition without a name of its own",
    networks: "nameless",
    definitions: [
      {
        name: "nameless",
        config: (site) => {
          const { name: _, ...rest } = site.local.macvlan("x", "10.111.0.0/16");
          return rest;
        },
      },
    ],
  },
  {
    name: "a definition with another name inside",
    networks: "outside",
    definitions: [{ name: "outside", config: macvlan("inside", "10.112.0.0/16") }],
  },
  {
    name: "a definition that stands on the node",
    networks: "on-disk",
    definitions: [{ name: "on-disk", config: () => "" }],
    conf: (site) => {
      site.local.folder.write("net.d/10-on-disk.conf", site.local.macvlan("on-disk", "10.113.0.0/16"));
      return {};
    },
  },
  {
    name: "another default network",
    networks: "storage",
    annotations: (site) => ({ "v1.multus-cni.io/default-network": `${site.namespace}/backup` }),
    definitions: [storage, backup],
  },
  {
    name: "a default network by name, and one for every pod",
    networks: "storage",
    definitions: [storage, backup, network("cluster", "10.114.0.0/16")],
    conf: (site) => ({
      delegates: undefined,
      multusNamespace: site.namespace,
      clusterNetwork: "cluster",
      defaultNetworks: ["backup"],
    }),
  },
  {
    name: "a default network from a file",
    networks: "storage",
    definitions: [storage],
    conf: (site) => ({
      delegates: undefined,
      clusterNetwork: site.local.folder.write("cluster.conf", site.local.macvlan("cluster", "10.115.0.0/16")),
    }),
  },
  {
    name: "a namespace's own network under isolation",
    networks: "storage",
    definitions: [storage],
    conf: () => ({ namespaceIsolation: true }),
  },
  {
    name: "a network of another namespace under isolation",
    networks: "kube-system/storage",
    conf: () => ({ namespaceIsolation: true }),
    fails: true,
  },
  { name: "a network that is not there", networks: "nowhere", fails: true },
  { name: "the second network is not there", networks: "storage,nowhere", definitions: [storage], fails: true },
  { name: "an annotation that breaks the grammar", networks: "a/b/c", fails: true },
  { name: "an annotation that is no JSON list", networks: '{"name": "storage"}', definitions: [storage], fails: true },
  {
    name: "a definition that is no JSON",
    networks: "broken",
    definitions: [{ name: "broken", config: () => "{" }],
    fails: true,
  },
  {
    name: "a master that the node lacks",
    networks: "storage,lost",
    definitions: [
      storage,
      { name: "lost", config: (site) => ({ ...site.local.macvlan("lost", "10.116.0.0/16"), master: "eth9" }) },
    ],
    fails: true,
  },
  {
    name: "an address that is none",
    networks: [{ name: "fixed", ips: ["10.103.0.300"] }],
    definitions: [fixed],
    fails: true,
  },
];
