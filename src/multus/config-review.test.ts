import { describe, expect, test } from "vitest";
import { readNetwork } from "../cni/network-list.ts";
import type { JsonObject } from "../json/value.ts";
import type { Attachment } from "./attachment.ts";
import { parseMultusConf } from "./config.ts";
import { reviewAnnotations, reviewConfigs } from "./config-review.ts";

function multus(more: JsonObject = {}) {
  const raw = { cniVersion: "1.0.0", name: "m", type: "multus", delegates: [{ name: "d", type: "bridge" }], ...more };
  return parseMultusConf({ cniVersion: "1.0.0", name: "m", type: "multus", ipamType: "", raw });
}

function attachment(plugins: readonly JsonObject[], more: Partial<Attachment> = {}): Attachment {
  const list = readNetwork({ cniVersion: "1.0.0", name: "n", plugins });
  return {
    name: "default/n",
    origin: "",
    ifName: "net1",
    isDefault: false,
    list,
    capabilityArgs: {},
    args: "",
    ...more,
  };
}

const withIpam = (ipam: unknown): JsonObject[] => [{ type: "macvlan", ipam } as JsonObject];
const prefix = "network default/n (interface net1): macvlan";

describe("a config that every ADD would fail with is refused with path and cure:", () => {
  test.each<[string, JsonObject[], string]>([
    ["an ipam that is no object", withIpam("host-local"), `${prefix}: $.ipam: expected an object`],
    ["a type that is no text", withIpam({ type: 7 }), `${prefix}: $.ipam.type: expected a string`],
    [
      "a type that gives out no addresses",
      withIpam({ type: "bridge" }),
      `${prefix}: $.ipam.type: bridge gives out no addresses: expected an IPAM plugin such as host-local or static`,
    ],
    [
      "host-local without a range",
      withIpam({ type: "host-local" }),
      `${prefix}/host-local: no IP ranges specified (at $.ipam); expected ipam.ranges or ipam.subnet`,
    ],
    [
      "host-local with a bad subnet",
      withIpam({ type: "host-local", subnet: "10.1.0.0/33" }),
      `${prefix}/host-local: $.ipam.subnet: expected an IP network such as 10.1.0.0/16`,
    ],
    [
      "host-local with a range that is outside its subnet",
      withIpam({ type: "host-local", ranges: [[{ subnet: "10.1.0.0/24", rangeStart: "10.2.0.1" }]] }),
      "(at $.ipam.ranges[0][0]",
    ],
    [
      "static without addresses",
      withIpam({ type: "static" }),
      `${prefix}/static: static has no address to give (at $.ipam.addresses): name one as $.ipam.addresses[0].address`,
    ],
    [
      "static with an address that has no length",
      withIpam({ type: "static", addresses: [{ address: "10.1.0.2" }] }),
      "(at $.ipam.addresses[0].address)",
    ],
    ["whereabouts with a bad range", withIpam({ type: "whereabouts", range: "10.1.0.0" }), `${prefix}/whereabouts: `],
    ["no ipam where there must be one", [{ type: "ipvlan" }], `ipvlan needs "ipam"`],
    ["a key of the plugin's own", [{ type: "macvlan", mode: "brige" }], `${prefix}: unknown macvlan mode: "brige"`],
    [
      "a plugin further down the chain",
      [
        { type: "bridge", ipam: { type: "host-local", subnet: "10.1.0.0/24" } },
        { type: "macvlan", ipam: { type: "host-local" } },
      ],
      `${prefix}/host-local: no IP ranges`,
    ],
  ])("%s", async (_, plugins, want) => {
    const { refusal } = await reviewConfigs(multus(), attachment(plugins));
    expect(refusal).toContain(want);
    expect(refusal).not.toContain("\n");
  });
});

describe("what an ADD would take is taken:", () => {
  const ips: JsonObject = { ips: ["10.1.0.2/24"] };
  test.each<[string, JsonObject[], Partial<Attachment>?, JsonObject?]>([
    ["an interface without addresses", [{ type: "macvlan" }]],
    ["a range", withIpam({ type: "host-local", subnet: "10.1.0.0/24" })],
    [
      "addresses that the pod's annotation brings",
      [{ type: "macvlan", capabilities: { ips: true }, ipam: { type: "static" } }],
      { capabilityArgs: ips },
    ],
    ["an address of CNI_ARGS", withIpam({ type: "static" }), { args: "IgnoreUnknown=1;IP=10.1.0.2/24" }],
    ["an ipam of a plugin that is executed", [{ type: "sriov", ipam: { type: "host-local" } }]],
    ["an IPAM plugin that is executed", withIpam({ type: "dhcp" })],
    ["one that the node has executed", withIpam({ type: "host-local" }), {}, { execPlugins: ["host-local"] }],
    [
      "a chained plugin that waits for a result",
      [{ type: "bridge", ipam: { type: "host-local", subnet: "10.1.0.0/24" } }, { type: "portmap" }],
    ],
  ])("%s", async (_, plugins, more, conf) => {
    expect(await reviewConfigs(multus(conf), attachment(plugins, more))).toEqual({ refusal: "", warnings: [] });
  });
});

describe("warned of is a key that nobody reads:", () => {
  const range = { type: "host-local", subnet: "10.1.0.0/24" };
  test.each<[string, JsonObject[], unknown[]]>([
    [
      "the plugin's",
      [{ type: "macvlan", mod: "vepa" }],
      [`${prefix}: $.mod: nobody reads this key; did you mean mode?`],
    ],
    [
      "the IPAM plugin's",
      withIpam({ ...range, rangeStrat: "10.1.0.9" }),
      [`${prefix}: $.ipam.rangeStrat: nobody reads this key; did you mean rangeStart?`],
    ],
    [
      "whereabouts', once",
      withIpam({ type: "whereabouts", range: "10.1.0.0/24", range_strat: "10.1.0.9" }),
      [expect.stringMatching(/\$\.ipam\.range_strat: .*range_start/)],
    ],
    [
      "of a plugin further down the chain",
      [
        { type: "bridge", ipam: range },
        { type: "tuning", sysctls: {} },
        { type: "portmap", capabilites: { portMappings: true } },
      ],
      [
        "network default/n (interface net1): tuning: $.sysctls: nobody reads this key; did you mean sysctl?",
        "network default/n (interface net1): portmap: $.capabilites: nobody reads this key; did you mean capabilities?",
      ],
    ],
    ["none of a whole config", withIpam({ ...range, ranges: [], routes: [{ dst: "0.0.0.0/0" }] }), []],
  ])("%s", async (_, plugins, want) => {
    expect(await reviewConfigs(multus(), attachment(plugins))).toEqual({ refusal: "", warnings: want });
  });

  test.each([
    ["[{", []],
    ['[{"name":"a","interface":"b","ips":["10.1.0.2"]}]', []],
    ["a@b", []],
    [
      '[{"name":"a"},{"name":"b","interfce":"lan0"}]',
      ["annotation k8s.v1.cni.cncf.io/networks: $[1].interfce: nobody reads this key; did you mean interface?"],
    ],
  ])("in the annotation %s", (text, want) => {
    const annotations = { "k8s.v1.cni.cncf.io/networks": text };
    expect(reviewAnnotations({ namespace: "default", name: "p", uid: "u", annotations, isStatic: false })).toEqual(
      want,
    );
  });
});

test("warned of is a whereabouts without a range, which a node's flat file may bring, and words that it does not know", async () => {
  const { refusal, warnings } = await reviewConfigs(
    multus(),
    attachment(withIpam({ type: "whereabouts", subnet: "10.1.0.0/24" })),
  );
  expect(refusal).toBe("");
  expect(warnings).toEqual([
    `${prefix}/whereabouts: $.ipam.subnet: whereabouts has no such option; it calls it range`,
    expect.stringMatching(
      /macvlan\/whereabouts: no range to give out addresses of \(at \$\.ipam\): .* as \$\.ipam\.range/,
    ),
  ]);
});
