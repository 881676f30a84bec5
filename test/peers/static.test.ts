import type { Case, ExpectedDifference } from "./compare.ts";
import { describeCases } from "./describe-cases.ts";

const dual = {
  type: "static",
  addresses: [{ address: "192.0.2.10/24", gateway: "192.0.2.1" }, { address: "2001:db8::10/64" }],
  routes: [{ dst: "198.51.100.0/24", gw: "192.0.2.1", mtu: 1300 }],
  dns: { nameservers: ["192.0.2.53"] },
};
const inArgs = { args: { cni: { ips: ["198.51.100.5/24"] } } };
const inRuntime = { runtimeConfig: { ips: ["203.0.113.5/24", "2001:db8:1::5/64"] } };

function network(ipam: object, more: object = {}): object {
  return { cniVersion: "1.1.0", name: "fixed", type: "any", ipam, ...more };
}

function served(name: string, config: object, args?: string): Case {
  return { name, plugin: "static", config, ...(args !== undefined && { args }) };
}

/** Refused by ADD; DEL does not look at it. */
function refused(name: string, config: object, args?: string): Case {
  const steps = [{ command: "ADD", code: 999 }, { command: "DEL" }];
  return { name: `refuses ${name}`, plugin: "static", config, steps, ...(args !== undefined && { args }) };
}

const common: readonly ExpectedDifference[] = [
  {
    line: / answer \/ code: peer has 999, ours has (4|7)$/,
    reason: "the specification has codes for environment and config",
  },
];

const cases: readonly Case[] = [
  served("gives out what is configured", network(dual)),
  ...["0.1.0", "0.2.0", "0.3.0", "0.3.1"].map((cniVersion) => ({
    ...served(`answers in version ${cniVersion}`, network(dual, { cniVersion })),
    steps: [{ command: "ADD" }, { command: "DEL" }],
  })),
  served("answers in version 0.4.0", network(dual, { cniVersion: "0.4.0" })),
  served("gives nothing when nothing is configured", network({ type: "static" })),
  served("adds the addresses of CNI_ARGS", network(dual), "IgnoreUnknown=1;IP=192.0.2.77/24;GATEWAY=192.0.2.1"),
  served(
    "adds several addresses of CNI_ARGS, with gateways",
    network({ type: "static" }),
    "IP=192.0.2.77/24, 198.51.100.7/24 ,2001:db8::7/64;GATEWAY=2001:db8::1, 192.0.2.1,192.0.2.2",
  ),
  served("takes args instead of the config", network(dual, inArgs), "IP=192.0.2.77/24;GATEWAY=198.51.100.1"),
  served(
    "takes the runtime's addresses instead of all",
    network(dual, { ...inArgs, ...inRuntime }),
    "IP=192.0.2.77/24",
  ),
  served("does not look at addresses that are replaced", network({ addresses: [{ address: "x" }] }, inArgs)),
  served(
    "keeps several routes to one destination",
    network({
      ...dual,
      routes: [
        { dst: "0.0.0.0/0", gw: "192.0.2.1", priority: 5, table: 0 },
        { dst: "0.0.0.0/0", gw: "192.0.2.2", advmss: 1260, scope: 0 },
      ],
      dns: { domain: "a.test", search: ["b"], options: ["c"] },
    }),
  ),
  refused("an address without a prefix", network({ type: "static", addresses: [{ address: "192.0.2.10" }] })),
  refused("args without a prefix", network({ type: "static" }, { args: { cni: { ips: ["192.0.2.10"] } } })),
  refused(
    "a runtime's address without a prefix",
    network({ type: "static" }, { runtimeConfig: { ips: ["192.0.2.10"] } }),
  ),
  refused("CNI_ARGS without a prefix", network({ type: "static" }), "IP=192.0.2.10"),
  refused("a gateway of CNI_ARGS that is none", network({ type: "static" }), "IP=192.0.2.10/24;GATEWAY=x"),
  refused("unknown CNI_ARGS", network({ type: "static" }), "MAC=02:00:00:00:00:01"),
  refused("a config without ipam", { cniVersion: "1.1.0", name: "fixed", type: "any" }),
  refused(
    "two addresses of a family in version 0.2.0",
    network({ addresses: [dual.addresses[0], { address: "203.0.113.1/24" }] }, { cniVersion: "0.2.0" }),
  ),
  {
    name: "CHECK sees another gateway",
    plugin: "static",
    config: network(dual),
    steps: [
      { command: "ADD" },
      {
        command: "CHECK",
        config: network(dual, {
          prevResult: {
            cniVersion: "1.1.0",
            ips: [{ address: "192.0.2.10/24", gateway: "192.0.2.2" }, { address: "2001:db8::10/64" }],
          },
        }),
        hasPrevResult: false,
        code: 999,
      },
    ],
  },
  {
    name: "CHECK sees that an address is missing",
    plugin: "static",
    config: network(dual),
    steps: [
      {
        command: "CHECK",
        config: network(dual, { prevResult: { cniVersion: "1.1.0", ips: [{ address: "2001:db8::10/64" }] } }),
      },
    ],
    expected: [{ line: /^1 CHECK answer/, reason: "upstream does not notice" }],
  },
  {
    name: "GC and STATUS",
    plugin: "static",
    config: network(dual),
    steps: [{ command: "STATUS" }, { command: "GC" }],
  },
];

describeCases("static", cases, common);
