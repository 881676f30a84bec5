import { expect, test } from "vitest";
import { parseNetwork } from "../cni/network-list.ts";
import { assignDevices } from "./devices.ts";
import type { NetworkSource } from "./attachment.ts";

/** "r" is a network of the node that takes a device of resource r, "*r" one of the pod's, "*r=x" with deviceID x; "" needs none, "?" was not found. */
function sourcesOf(text: string): (NetworkSource | undefined)[] {
  return text.split(" ").map((word, index) => {
    if (word === "?") return undefined;
    const [, own, resourceName, deviceId] = /^(\*?)(\w*)=?(\w*)$/.exec(word) ?? [];
    const name = `n${index}`;
    const element = { namespace: "default", name, ...(deviceId ? { deviceId } : {}) };
    return {
      name,
      origin: "",
      list: parseNetwork(`{"cniVersion": "1.0.0", "name": "${name}", "type": "x"}`),
      ...(own ? { element } : {}),
      ...(resourceName ? { resourceName } : {}),
    };
  });
}

const cases: readonly [
  name: string,
  networks: string,
  devices: Record<string, string[]>,
  ids: (string | undefined)[],
  shortages: string[],
][] = [
  ["no network needs one", "- -", { r: ["a"] }, [undefined, undefined], []],
  ["kubelet's order is kept", "- *r *r", { r: ["b", "a"] }, [undefined, "b", "a"], []],
  ["resources do not mix", "- *r *s *r", { r: ["a", "b"], s: ["c"] }, [undefined, "a", "c", "b"], []],
  [
    "one allocator for the default network, the node's and the pod's",
    "r r *r",
    { r: ["a", "b", "c"] },
    ["a", "b", "c"],
    [],
  ],
  [
    "a claim that goes by two names is used up once",
    "- *claim *driver",
    { claim: ["a"], driver: ["a", "b"] },
    [undefined, "a", "b"],
    [],
  ],
  ["networks of the node go without where the pod has none", "r r -", {}, [undefined, undefined, undefined], []],
  [
    "a network of the node does not go without where the pod has some",
    "r r -",
    { r: ["a"] },
    ["a", undefined, undefined],
    ["n1: networks n0, n1 need 2 devices of resource r, and kubelet has assigned the pod 1 (a)"],
  ],
  [
    "a pod's network never goes without",
    "- *r",
    { s: ["a"] },
    [undefined, undefined],
    ["n1: network n1 needs a device of resource r, and kubelet has assigned the pod none"],
  ],
  [
    "two resources that are short are two shortages",
    "- *r *s *r *s",
    { r: ["a"] },
    [undefined, "a", undefined, undefined, undefined],
    [
      "n2 n4: networks n2, n4 need 2 devices of resource s, and kubelet has assigned the pod none",
      "n3: networks n1, n3 need 2 devices of resource r, and kubelet has assigned the pod 1 (a)",
    ],
  ],
  [
    "the annotation's deviceID stands in",
    "- *r=x *r",
    { r: [] },
    [undefined, undefined, undefined],
    ["n2: networks n1, n2 need 2 devices of resource r, and kubelet has assigned the pod none"],
  ],
  ["what was not found takes none", "? *r", { r: ["a"] }, [undefined, "a"], []],
];

test.each(cases)("%s", (_, networks, devices, ids, shortages) => {
  const sources = sourcesOf(networks.replaceAll("-", ""));
  const assignment = assignDevices(sources, new Map(Object.entries(devices)));
  expect(assignment.deviceIds).toEqual(ids);
  const told = assignment.shortages.map(
    (each) => `${each.networks.map((index) => sources[index]?.name).join(" ")}: ${each.error.message}`,
  );
  expect(told.sort()).toEqual(shortages);
});

test("a shortage says what the pod must request", () => {
  const [short] = assignDevices(sourcesOf("*r *r"), new Map()).shortages;
  expect(short?.error).toMatchObject({
    reason: "NotEnoughDevices",
    details:
      'the pod must request as many: resources.limits {"r": "2"} in one of its containers, or have a claim of that name, or of devices whose attribute k8s.cni.cncf.io/resourceName says so',
  });
});

test("nobody gets or lacks a device while kubelet was not asked", () => {
  expect(assignDevices(sourcesOf("r *r"), undefined)).toEqual({ deviceIds: [], shortages: [] });
});
