// What deploy/ brings for whereabouts pools: the definitions serve what Go's serve, and each account may do what it needs and no more.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, inject, test } from "vitest";
import type { Account } from "../kit/cluster.ts";
import { KubeAdmin, type KubeJson } from "../kit/kube-admin.ts";

const group = "whereabouts.cni.cncf.io";
const apiVersion = `${group}/v1alpha1`;
const namespace = "ipam-deploy";
const folder = `/apis/${apiVersion}/namespaces/${namespace}`;
let admin: KubeAdmin;
beforeAll(async () => {
  admin = new KubeAdmin(inject("api"));
  await admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
});

const pool = (spec?: object) => ({
  apiVersion,
  kind: "IPPool",
  metadata: { generateName: "p-" },
  ...(spec && { spec }),
});
const reservation = (spec?: object) => ({
  apiVersion,
  kind: "OverlappingRangeIPReservation",
  metadata: { generateName: "r-" },
  ...(spec && { spec }),
});
const slices = (more: object) => ({ apiVersion, kind: "NodeSlicePool", metadata: { generateName: "s-" }, ...more });
const entry = { id: "abc", podref: "default/web", ifname: "net1" };

const valid: readonly (readonly [string, string, object])[] = [
  ["a pool without a spec", "ippools", pool()],
  ["an empty pool", "ippools", pool({ range: "10.0.0.0/24", allocations: {} })],
  ["a pool with an entry", "ippools", pool({ range: "10.0.0.0/24", allocations: { "5": entry } })],
  [
    "an entry from before interfaces",
    "ippools",
    pool({ range: "::/64", allocations: { "5": { id: "a", podref: "a/b" } } }),
  ],
  ["a reservation as Go writes it", "overlappingrangeipreservations", reservation({ podref: "a/b", ifname: "net1" })],
  ["a reservation as we write it", "overlappingrangeipreservations", reservation({ ...entry, containerid: "abc" })],
  ["slices", "nodeslicepools", slices({ spec: { range: "10.0.0.0/16", sliceSize: "/24" } })],
  [
    "slices with nodes",
    "nodeslicepools",
    slices({
      spec: { range: "10.0.0.0/16", sliceSize: "/24" },
      status: { allocations: [{ nodeName: "", sliceRange: "10.0.1.0/24" }] },
    }),
  ],
];

test.each(valid)("is taken: %s", async (_, plural, object) => {
  await admin.send("POST", `${folder}/${plural}`, object);
});

const invalid: readonly (readonly [string, string, object, RegExp])[] = [
  ["a pool without a range", "ippools", pool({ allocations: {} }), /spec.range: Required/],
  ["a pool without allocations", "ippools", pool({ range: "10.0.0.0/24" }), /spec.allocations: Required/],
  [
    "an entry without an id",
    "ippools",
    pool({ range: "10.0.0.0/24", allocations: { "5": { podref: "a/b" } } }),
    /allocations.5.id: Required/,
  ],
  [
    "an entry without a pod",
    "ippools",
    pool({ range: "10.0.0.0/24", allocations: { "5": { id: "a" } } }),
    /allocations.5.podref: Required/,
  ],
  ["a reservation without a spec", "overlappingrangeipreservations", reservation(), /spec: Required/],
  [
    "a reservation without a pod",
    "overlappingrangeipreservations",
    reservation({ ifname: "net1" }),
    /spec.podref: Required/,
  ],
  ["slices without a size", "nodeslicepools", slices({ spec: { range: "10.0.0.0/16" } }), /spec.sliceSize: Required/],
  [
    "a slice without a range",
    "nodeslicepools",
    slices({ spec: { range: "a", sliceSize: "1" }, status: { allocations: [{ nodeName: "a" }] } }),
    /sliceRange: Required/,
  ],
];

test.each(invalid)("is refused: %s", async (_, plural, object, message) => {
  await expect(admin.send("POST", `${folder}/${plural}`, object)).rejects.toThrow(message);
});

test("the controller's Deployment is taken as it is", async () => {
  const path = join(import.meta.dirname, "..", "..", "deploy", "ipam-controller.yaml");
  const deployment = Bun.YAML.parse(readFileSync(path, "utf8")) as KubeJson;
  const folder = "/apis/apps/v1/namespaces/kube-system/deployments?dryRun=All&fieldValidation=Strict";
  expect(await admin.send("POST", folder, deployment)).toMatchObject({ metadata: { name: "polynic-ipam" } });
});

test("the short names are served", async () => {
  const { resources } = (await admin.send("GET", `/apis/${apiVersion}`)) as unknown as {
    resources: readonly { name: string; shortNames?: string[] }[];
  };
  expect(Object.fromEntries(resources.map(({ name, shortNames }) => [name, shortNames]))).toEqual({
    ippools: ["wbpool"],
    overlappingrangeipreservations: ["wbip"],
    nodeslicepools: ["wbslice"],
  });
});

type Right = readonly [account: Account, verb: string, resource: string, name?: string, inNamespace?: string];
const may: readonly Right[] = [
  ["polynic", "create", "overlappingrangeipreservations"],
  ["polynic", "delete", "overlappingrangeipreservations"],
  ["polynic", "get", "ippools"],
  ["polynic", "patch", "ippools"],
  ["polynic", "get", "nodeslicepools"],
  ["polynic", "update", "leases", "whereabouts"],
  ["polynic-ipam", "watch", "overlappingrangeipreservations"],
  ["polynic-ipam", "delete", "overlappingrangeipreservations"],
  ["polynic-ipam", "patch", "ippools"],
  ["polynic-ipam", "update", "leases", "polynic-ipam"],
  ["polynic-ipam", "list", "pods", "", "default"],
  ["polynic-ipam", "create", "nodeslicepools"],
  ["polynic-ipam", "get", "pods", "", "default"],
  ["polynic-ipam", "list", "nodes", "", ""],
  ["polynic-ipam", "watch", "nodes", "", ""],
  ["polynic-ipam", "create", "events", "", "default"],
];
const mayNot: readonly Right[] = [
  ["polynic", "delete", "ippools"],
  ["polynic", "patch", "nodeslicepools"],
  ["polynic", "list", "pods"],
  ["polynic", "list", "nodes", "", ""],
  ["polynic", "create", "overlappingrangeipreservations", "", "default"],
  ["polynic", "update", "leases", "polynic-ipam"],
  ["polynic-ipam", "delete", "ippools"],
  ["polynic-ipam", "delete", "nodeslicepools"],
  ["polynic-ipam", "watch", "pods", "", "default"],
  ["polynic-ipam", "get", "nodes", "", ""],
  ["polynic-ipam", "patch", "pods", "", "default"],
  ["polynic-ipam", "delete", "pods", "", "default"],
  ["polynic-ipam", "patch", "ippools", "", "default"],
  ["polynic-ipam", "update", "leases", "whereabouts"],
  ["polynic-ipam", "get", "secrets"],
];

describe("rights", () => {
  test.each(may)("%s may %s %s %s", async (...right) => {
    expect(await isAllowed(right as unknown as Right)).toBe(true);
  });
  test.each(mayNot)("%s may not %s %s %s", async (...right) => {
    expect(await isAllowed(right as unknown as Right)).toBe(false);
  });
});

const groups: Readonly<Record<string, string>> = {
  pods: "",
  nodes: "",
  events: "",
  secrets: "",
  leases: "coordination.k8s.io",
};

async function isAllowed([account, verb, resource, name = "", inNamespace = "kube-system"]: Right): Promise<boolean> {
  const right = { verb, group: groups[resource] ?? group, resource, name, namespace: inNamespace };
  return await admin.allows(account, right);
}
