import { describe, expect, test } from "vitest";
import { noArgs } from "../cni/args.ts";
import { parseNetwork } from "../cni/network-list.ts";
import type { NetworkSource } from "./attachment.ts";
import { draftPlan, makePlan, type PlanInput } from "./plan.ts";
import { parseSelection } from "./selection.ts";

/** A network as reading finds it; with `asked`, by an element of the pod's annotation. */
function source(name: string, config: object, asked?: object): NetworkSource {
  const list = parseNetwork(JSON.stringify({ cniVersion: "1.1.0", name, ...config }));
  const [element] = asked === undefined ? [] : parseSelection(JSON.stringify([{ name, ...asked }]), "default");
  return { name: `default/${name}`, origin: `a test's ${name}`, list, ...(element === undefined ? {} : { element }) };
}

function plan(sources: readonly NetworkSource[], over: Partial<PlanInput> = {}) {
  return makePlan({ ifName: "eth0", args: noArgs, runtimeConfig: {}, missingCapability: "warn", sources, ...over });
}

describe("what no plugin of a network can do", () => {
  const sources = [
    source("main", { type: "bridge" }),
    source(
      "net-a",
      { type: "macvlan", ipam: { type: "static" } },
      { ips: ["10.0.0.1/8"], bandwidth: { ingressRate: 1 } },
    ),
    source("net-b", { plugins: [{ type: "ipvlan" }, { type: "sbr" }] }, { mac: "02:00:00:00:00:01", interface: "b0" }),
  ];
  const warnings = [
    {
      network: 1,
      reason: "MissingCapability",
      message:
        `network default/net-a (interface net1): "bandwidth" of the pod's annotation reaches no plugin (macvlan): ` +
        'declare "capabilities": {"bandwidth": true} in the config of the plugin that honours it',
    },
    {
      network: 2,
      reason: "MissingCapability",
      message:
        `network default/net-b (interface b0): "mac" of the pod's annotation reaches no plugin (ipvlan+sbr): ` +
        'declare "capabilities": {"mac": true} in the config of the plugin that honours it',
    },
  ];

  test("is a warning each, and the plan stands", () => {
    const { attachments, warnings: found } = plan(sources);
    expect(found).toEqual(warnings);
    expect(attachments.map(({ ifName }) => ifName)).toEqual(["eth0", "net1", "b0"]);
  });

  test("fails the pod where the config says so, under the same reason", () => {
    expect(() => plan(sources, { missingCapability: "fail" })).toThrow(
      expect.objectContaining({ code: 7, reason: "MissingCapability", message: warnings[0]?.message }),
    );
  });

  test("is passed over where the config says so", () => {
    expect(plan(sources, { missingCapability: "ignore" }).warnings).toEqual([]);
  });
});

describe("the device of a network", () => {
  const config = {
    plugins: [
      { type: "x", deviceID: "written", PCIBUSID: "written" },
      { type: "y", capabilities: { deviceID: true } },
    ],
  };
  const onDevice = (name: string, asked?: object): NetworkSource => ({
    ...source(name, config, asked),
    resourceName: "r",
  });
  const sources = [source("main", { type: "bridge" }), onDevice("net-a", {})];
  const devices = new Map([["r", ["0000:01:00.1"]]]);

  test("goes into the config of each of its plugins under both names, and into the capability deviceID", () => {
    const { attachments } = plan(sources, { devices });
    expect(attachments[1]).toMatchObject({
      device: { resourceName: "r", id: "0000:01:00.1" },
      capabilityArgs: { deviceID: "0000:01:00.1" },
    });
    const injected = { deviceID: "0000:01:00.1", pciBusID: "0000:01:00.1" };
    expect(attachments[1]?.list.plugins.map((each) => each.config)).toEqual([
      { type: "x", ...injected },
      { type: "y", capabilities: { deviceID: true }, ...injected },
    ]);
    expect(attachments[0]?.capabilityArgs).toEqual({});
  });

  test("is left out while kubelet was not asked", () => {
    const [, attachment] = plan(sources).attachments;
    expect(attachment?.device).toEqual({ resourceName: "r" });
    expect(attachment?.capabilityArgs).toEqual({});
    expect(attachment?.list).toBe(sources[1]?.list);
  });

  test("wins over the deviceID of the annotation, which counts as a capability only where there is none", () => {
    const asked = [source("main", { type: "bridge" }), onDevice("net-a", { deviceID: "mine" })];
    expect(plan(asked, { devices }).attachments[1]?.capabilityArgs).toEqual({ deviceID: "0000:01:00.1" });
    const without = plan(asked, { devices: new Map() }).attachments[1];
    expect(without?.capabilityArgs).toEqual({ deviceID: "mine" });
    expect(without?.list).toBe(asked[1]?.list);
  });

  test("has a file for what is known of it, and so has a plugin that declares CNIDeviceInfoFile without a device", () => {
    const told = source("net-b", { type: "x", capabilities: { CNIDeviceInfoFile: true } });
    const { attachments } = plan([...sources, told], { devices, containerId: "c1" });
    const folder = "/var/run/k8s.cni.cncf.io/devinfo/cni";
    expect(attachments.map(({ capabilityArgs }) => capabilityArgs["CNIDeviceInfoFile"])).toEqual([
      undefined,
      `${folder}/default-net-a-c1_net1`,
      `${folder}/default-net-b-c1_net2`,
    ]);
    expect(plan([...sources, told], { devices }).attachments[2]?.capabilityArgs).toEqual({});
  });

  test("is missed under a reason of its own", () => {
    expect(() => plan(sources, { devices: new Map() })).toThrow(
      expect.objectContaining({
        reason: "NotEnoughDevices",
        message: "network default/net-a needs a device of resource r, and kubelet has assigned the pod none",
      }),
    );
  });
});

describe("args.cni", () => {
  const config = {
    plugins: [
      { type: "x", args: { other: 1, cni: { a: 1, b: 1 } } },
      { type: "y", args: "nonsense" },
    ],
  };
  const argsOf = (asked: object): unknown[] => {
    const { attachments } = plan([source("main", { type: "bridge" }), source("net-a", config, asked)]);
    return attachments[1]?.list.plugins.map((each) => each.config["args"]) ?? [];
  };

  test("gets the pod's cni-args, which win over the definition's, in every plugin (BUG 2.2: Multus panics over args that are no object)", () => {
    expect(argsOf({ "cni-args": { b: 2, c: { d: 3 } } })).toEqual([
      { other: 1, cni: { a: 1, b: 2, c: { d: 3 } } },
      { cni: { b: 2, c: { d: 3 } } },
    ]);
  });

  test("gets the claim under the annotation's own key", () => {
    expect(argsOf({ "ipam-claim-reference": "vm.net", "cni-args": { b: 2 } })).toEqual([
      { other: 1, cni: { a: 1, b: 2, "ipam-claim-reference": "vm.net" } },
      { cni: { b: 2, "ipam-claim-reference": "vm.net" } },
    ]);
  });

  test("stays as it is when the pod says nothing", () => {
    expect(argsOf({})).toEqual([{ other: 1, cni: { a: 1, b: 1 } }, "nonsense"]);
  });
});

describe("a draft", () => {
  test("finds everything that is wrong with a pod's networks, each with its positions", () => {
    const sources = [
      source("main", { type: "multus" }),
      source("a", { type: "x" }, { interface: "i0", "default-route": ["10.0.0.1"] }),
      undefined,
      source("b", { type: "x" }, { interface: "i0", "default-route": ["10.0.0.2"] }),
      source("c", { type: "x" }, { "default-route": [] }),
      source("d", { type: "x" }, { "default-route": [] }),
      { ...source("e", { type: "x" }, { mac: "02:00:00:00:00:01" }), resourceName: "r" },
    ];
    const { attachments, problems, warnings } = draftPlan({
      ifName: "eth0",
      args: noArgs,
      runtimeConfig: {},
      missingCapability: "fail",
      devices: new Map(),
      sources,
    });
    expect(attachments.map((each) => each?.ifName)).toEqual(["eth0", "i0", undefined, "i0", "net4", "net5", "net6"]);
    expect(problems.map(({ networks, error }) => [networks, error.message.slice(0, 40)])).toEqual([
      [[0], 'network "default/main" (a test\'s main) i'],
      [[1, 3], "networks default/a and default/b both wa"],
      [[1, 3], "default-route names 2 IPv4 gateways (10."],
      [[4, 5], "default-route is [] for default/c and de"],
      [[6], "network default/e needs a device of reso"],
      [[6], 'network default/e (interface net6): "mac'],
    ]);
    expect(warnings).toEqual([]);
  });
});

describe("interfaces", () => {
  const names = (sources: readonly NetworkSource[], over: Partial<PlanInput> = {}) =>
    plan(sources, over).attachments.map(({ ifName, isDefault }) => `${ifName}${isDefault ? " default" : ""}`);
  const plain = source("a", { type: "x" });

  test("are named by position among all networks, those with a name of their own counted too", () => {
    const named = source("b", { type: "x" }, { interface: "ext0" });
    expect(names([plain, plain, named, plain])).toEqual(["eth0 default", "net1", "ext0", "net3"]);
  });

  test("take CNI_IFNAME for the default network, unless its own element names it", () => {
    expect(names([plain], { ifName: "veth7" })).toEqual(["veth7 default"]);
    expect(names([source("a", { type: "x" }, { interface: "up0" })], { ifName: "veth7" })).toEqual(["up0 default"]);
  });

  test.each([
    [
      "two that are named alike",
      [plain, source("b", { type: "x" }, { interface: "i" }), source("c", { type: "x" }, { interface: "i" })],
      "networks default/b and default/c both want interface i",
    ],
    [
      "one that is named as another is counted",
      [plain, plain, source("c", { type: "x" }, { interface: "net1" })],
      "networks default/a and default/c both want interface net1",
    ],
    [
      "one that is named as the default one",
      [plain, source("c", { type: "x" }, { interface: "eth0" })],
      "networks default/a and default/c both want interface eth0",
    ],
  ])("%s are refused", (_, sources, message) => {
    expect(() => plan(sources)).toThrow(expect.objectContaining({ reason: "InvalidNetworkSelection", message }));
  });
});

describe("what the chain would refuse is refused before", () => {
  test.each<[string, NetworkSource, string, number]>([
    [
      "a network without name",
      { ...source("", { type: "x" }), origin: "delegates[0]" },
      "delegates[0]: missing network name",
      7,
    ],
    [
      "a name with a slash",
      source("a", { name: "a/b", type: "x" }),
      "a test's a: invalid characters found in network name",
      7,
    ],
    ["an unknown version", source("a", { cniVersion: "7.0.0", type: "x" }), "a test's a: incompatible CNI versions", 1],
    ["the dispatcher (BUG 10.7: Multus delegates to itself)", source("a", { type: "multus" }), "is multus itself", 7],
    [
      "the thick dispatcher's shim",
      source("a", { plugins: [{ type: "x" }, { type: "multus-shim" }] }),
      "is multus itself",
      7,
    ],
  ])("%s", (_, bad, message, code) => {
    expect(() => plan([bad])).toThrow(
      expect.objectContaining({ reason: "InvalidNetwork", code, message: expect.stringContaining(message) as unknown }),
    );
  });
});

describe("default-route", () => {
  const wants = (name: string, gateways: readonly string[]) =>
    source(name, { type: "x" }, { "default-route": gateways });

  test("of two families may be on two networks", () => {
    const { attachments } = plan([wants("main", []), wants("a", ["10.0.0.1"]), wants("b", ["fd00::1"])]);
    expect(attachments.map(({ defaultRoute }) => defaultRoute?.length)).toEqual([0, 1, 1]);
  });

  test.each([
    [["10.0.0.1", "10.0.0.2"], [], "IPv4 gateways (10.0.0.1 on default/a, 10.0.0.2 on default/a)"],
    [["fd00::1"], ["fd00::2"], "IPv6 gateways (fd00::1 on default/a, fd00::2 on default/b)"],
  ])("%j and %j of one family are refused", (a, b, message) => {
    expect(() => plan([source("main", { type: "x" }), wants("a", a), wants("b", b)])).toThrow(message);
  });
});

test("a plan is pure: the same input gives the same plan, and stays as it was", () => {
  const input = {
    ifName: "eth0",
    args: noArgs,
    runtimeConfig: { ips: ["10.0.0.9"] },
    missingCapability: "warn" as const,
    sources: [
      source("main", { type: "x" }),
      source("a", { plugins: [{ type: "y", args: { cni: { a: 1 } } }] }, { "cni-args": { b: 2 } }),
    ],
  };
  const before = structuredClone(input);
  expect(makePlan(input)).toEqual(makePlan(input));
  expect(input).toEqual(before);
});
