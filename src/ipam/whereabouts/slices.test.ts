// Slices of nodes: each gives out addresses of its own part of a range.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ManifestPools } from "../../cluster/pools/manifests.ts";
import { PoolSite } from "./site.test-data.ts";

let site: PoolSite;
beforeEach(() => {
  site = new PoolSite();
});
afterEach(() => site[Symbol.dispose]());

const sliced = { range: "10.0.0.0/24", node_slice_size: "/29", enable_overlapping_ranges: false };
const folder = () => join(site.manifests, ".state/whereabouts/nodeslicepools");

const assign = (slices: Readonly<Record<string, string>>) => {
  mkdirSync(folder(), { recursive: true });
  const allocations = Object.entries(slices).map(([sliceRange, nodeName]) => ({ nodeName, sliceRange }));
  const object = {
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "NodeSlicePool",
    metadata: { name: "net" },
    spec: { range: "10.0.0.0/24", sliceSize: "/29" },
    status: { allocations },
  };
  writeFileSync(join(folder(), "net.json"), JSON.stringify(object));
};
const entriesOf = async (pool: string) => (await new ManifestPools(site.manifests).getPool(pool))?.allocations;

test("each node gives out addresses of its own, with the length of the whole range, and the pool shows them", async () => {
  assign({ "10.0.0.0/29": "a", "10.0.0.8/29": "b", "10.0.0.16/29": "" });
  expect(await site.add("c1", sliced, { node: "a" })).toEqual(["10.0.0.1/24"]);
  expect(await site.add("c2", sliced, { node: "b" })).toEqual(["10.0.0.9/24"]);
  expect(
    await site.add("c3", sliced, { node: "a", args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web" }),
  ).toEqual(["10.0.0.2/24"]);
  expect(site.reservations()).toEqual([]);
  expect(await entriesOf("a-10.0.0.0-29")).toEqual({
    "1": { id: "polynic-slice:c1", podref: "/", ifname: "net1" },
    "2": { id: "polynic-slice:c3", podref: "shop/web", ifname: "net1" },
  });
  await site.call("DEL", "c1", sliced, { node: "a" });
  expect(Object.keys((await entriesOf("a-10.0.0.0-29")) ?? {})).toEqual(["2"]);
  expect(await site.add("c4", sliced, { node: "a" })).toEqual(["10.0.0.1/24"]);
});

test("slices need no store for an ADD or DEL while what it said is fresh", async () => {
  assign({ "10.0.0.0/29": "a" });
  await site.add("c1", sliced);
  rmSync(folder(), { recursive: true });
  expect(await site.add("c2", sliced)).toEqual(["10.0.0.2/24"]);
  await site.call("DEL", "c2", sliced);
  expect(await site.add("c3", sliced)).toEqual(["10.0.0.2/24"]);
});

test("slices that are full make the node ask for another one; #666: exclusions and bounds hold in them", async () => {
  assign({ "10.0.0.0/29": "a" });
  const ipam = { ...sliced, exclude: ["10.0.0.1", "10.0.0.4/30"] };
  expect([await site.add("c1", ipam), await site.add("c2", ipam)]).toEqual([["10.0.0.2/24"], ["10.0.0.3/24"]]);
  await expect(site.add("c3", ipam)).rejects.toMatchObject({
    code: 50,
    details: "this node's slices 10.0.0.0/29 are full",
  });
  assign({ "10.0.0.0/29": "a", "10.0.0.8/29": "a" });
  expect(await site.add("c3", ipam)).toEqual(["10.0.0.9/24"]);
});

test("slices serve all that start at once", async () => {
  assign({ "10.0.0.0/27": "a" });
  const claims = Array.from({ length: 30 }, (_, index) => site.add(`c${index}`, sliced));
  expect(new Set((await Promise.all(claims)).flat()).size).toBe(30);
  await expect(site.add("late", sliced)).rejects.toMatchObject({ code: 50 });
});

test("slices are reserved too where overlaps are checked, and somebody else's address is passed over", async () => {
  assign({ "10.0.0.0/29": "a" });
  const checked = { ...sliced, enable_overlapping_ranges: true };
  await site.add("other", { range: "10.0.0.0/30" });
  expect(await site.add("c1", checked)).toEqual(["10.0.0.2/24"]);
  expect(site.reservations()).toEqual(["10.0.0.1", "10.0.0.2"]);
  expect(await site.add("c1", checked)).toEqual(["10.0.0.2/24"]);
  await site.call("DEL", "c1", checked);
  expect(site.reservations()).toEqual(["10.0.0.1"]);
});

test("slices of a node that has none say what is missing", async () => {
  await expect(site.add("c1", sliced)).rejects.toMatchObject({
    code: 11,
    message: expect.stringContaining("there is no nodeslicepool net") as string,
  });
  assign({ "10.0.0.0/29": "b" });
  await expect(site.add("c1", sliced)).rejects.toMatchObject({
    code: 11,
    message: expect.stringContaining("node a has no slice") as string,
  });
});

test("PR 703: slices are found by a name with or without its domain", async () => {
  assign({ "10.0.0.0/29": "a.example.com" });
  expect(await site.add("c1", sliced)).toEqual(["10.0.0.1/24"]);
});
