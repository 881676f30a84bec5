import { describe, expect, test } from "vitest";
import { noArgs } from "../cni/args.ts";
import { parseNetwork } from "../cni/network-list.ts";
import { makePlan, type NetworkSource, type PlanInput } from "./plan.ts";
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
      reason: "MissingCapability",
      message:
        `network default/net-a (interface net1): "bandwidth" of the pod's annotation reaches no plugin (macvlan): ` +
        'declare "capabilities": {"bandwidth": true} in the config of the plugin that honours it',
    },
    {
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
      expect.objectContaining({ name: "CniError", code: 7, ...warnings[0] }),
    );
  });

  test("is passed over where the config says so", () => {
    expect(plan(sources, { missingCapability: "ignore" }).warnings).toEqual([]);
  });
});
