import { expect, test } from "vitest";
import { parseNetwork } from "../cni/network-list.ts";
import { missingCapabilities } from "./capabilities.ts";
import { parseSelection } from "./selection.ts";

const everything = {
  ips: ["10.0.0.1/24"],
  mac: "02:00:00:00:00:01",
  bandwidth: { ingressRate: 1 },
  portMappings: [{ hostPort: 80, containerPort: 80 }],
  "infiniband-guid": "00:11:22:33:44:55:66:77",
};
const allCapabilities = { ips: true, mac: true, bandwidth: true, portMappings: true, infinibandGUID: true };

const cases: readonly [name: string, plugins: object[], asked: object, missing: string[]][] = [
  ["nothing asked", [{ type: "x" }], {}, []],
  ["an empty list of mappings asks nothing", [{ type: "x" }], { portMappings: [] }, []],
  [
    "everything asked of a plugin that declares nothing",
    [{ type: "x" }],
    everything,
    ["ips", "mac", "bandwidth", "portMappings", "infiniband-guid"],
  ],
  ["everything asked of a plugin that declares it all", [{ type: "x", capabilities: allCapabilities }], everything, []],
  ["a capability declared as false", [{ type: "x", capabilities: { ips: false } }], { ips: ["10.0.0.1"] }, ["ips"]],
  [
    "each asked of another plugin of the chain",
    [
      { type: "x", capabilities: { ips: true } },
      { type: "y", capabilities: { bandwidth: true } },
    ],
    { ips: ["10.0.0.1"], bandwidth: { egressRate: 1 } },
    [],
  ],
  [
    "a capability by the annotation's name is not its own",
    [{ type: "x", capabilities: { "infiniband-guid": true } }],
    everything,
    ["ips", "mac", "bandwidth", "portMappings", "infiniband-guid"],
  ],
  ["a MAC that macvlan takes from CNI_ARGS", [{ type: "macvlan" }], { mac: everything.mac }, []],
  ["a MAC that a tuning behind ipvlan takes", [{ type: "ipvlan" }, { type: "tuning" }], { mac: everything.mac }, []],
  ["a MAC that ipvlan can't have", [{ type: "ipvlan" }], { mac: everything.mac }, ["mac"]],
  ["addresses that host-local takes", [{ type: "macvlan", ipam: { type: "host-local" } }], { ips: ["10.0.0.1"] }, []],
  [
    "addresses that static takes, keys in any letter case",
    [{ type: "vlan", IPAM: { Type: "static" } }],
    { ips: ["10.0.0.1/8"] },
    [],
  ],
  ["addresses that dhcp can't ask for", [{ type: "macvlan", ipam: { type: "dhcp" } }], { ips: ["10.0.0.1"] }, ["ips"]],
  ["addresses without IPAM", [{ type: "macvlan", ipam: {} }], { ips: ["10.0.0.1"] }, ["ips"]],
  [
    "CNI_ARGS carry no bandwidth",
    [{ type: "macvlan", ipam: { type: "static" } }],
    { bandwidth: { ingressRate: 1 } },
    ["bandwidth"],
  ],
  [
    "a name that objects have by nature is no plugin of ours",
    [{ type: "constructor" }],
    { mac: everything.mac },
    ["mac"],
  ],
];

test.each(cases)("%s", (_, plugins, asked, missing) => {
  const list = parseNetwork(JSON.stringify({ cniVersion: "1.0.0", name: "n", plugins }));
  const [element] = parseSelection(JSON.stringify([{ name: "n", ...asked }]), "default");
  expect(missingCapabilities(list, element).map(({ key }) => key)).toEqual(missing);
});

test("a network that the node's config names was asked for nothing", () => {
  const list = parseNetwork('{"cniVersion": "1.0.0", "name": "n", "type": "x"}');
  expect(missingCapabilities(list, undefined)).toEqual([]);
});
