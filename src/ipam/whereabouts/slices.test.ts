// Slices of nodes: each gives out addresses of its own part of a range.
import { mkdirSync, renameSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

test("slices that are full make the node ask for another one; exclusions and bounds hold in them (WHEREABOUTS 666)", async () => {
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

test("slices serve all that start at once (WHEREABOUTS 558)", async () => {
  assign({ "10.0.0.0/27": "a" });
  const claims = Array.from({ length: 30 }, (_, index) => site.add(`c${index}`, sliced));
  expect(new Set((await Promise.all(claims)).flat()).size).toBe(30);
  await expect(site.add("late", sliced)).rejects.toMatchObject({ code: 50 });
});

test.each([false, true])(
  "an address of a slice rests for release_delay_seconds, also when the slice is full (overlaps checked: %s)",
  async (isChecked) => {
    assign({ "10.0.0.0/29": "a" });
    const exclude = ["10.0.0.4/30", "10.0.0.3"];
    const ipam = { ...sliced, exclude, enable_overlapping_ranges: isChecked, release_delay_seconds: 3600 };
    const notes = join(site.dataDir(), "delayed");
    const rested = () => {
      for (const name of site.files(notes)) renameSync(join(notes, name), join(notes, name.replace(/^\d+/, "1")));
    };
    expect([await site.add("c1", ipam), await site.add("c2", ipam)]).toEqual([["10.0.0.1/24"], ["10.0.0.2/24"]]);
    for (let time = 0; time < 2; time++) await site.call("DEL", "c1", ipam);
    await expect(site.add("c3", ipam)).rejects.toMatchObject({ code: 50 });
    rested();
    expect(await site.add("c3", ipam)).toEqual(["10.0.0.1/24"]);
    for (const container of ["c2", "c3"]) await site.call("DEL", container, ipam);
    expect(site.files(notes)).toHaveLength(isChecked ? 4 : 2);
    rested();
    await site.call("GC", "", ipam, { config: { "cni.dev/valid-attachments": [] } });
    expect([site.files(notes), site.reservations(), await entriesOf("a-10.0.0.0-29")]).toEqual([[], [], {}]);
  },
);

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

test("slices are found by a name with or without its domain (WHEREABOUTS PR 703)", async () => {
  assign({ "10.0.0.0/29": "a.example.com" });
  expect(await site.add("c1", sliced)).toEqual(["10.0.0.1/24"]);
});

const dual = { ...sliced, ipRanges: [{ range: "fd00::/64" }] };

test("dual stack: an ADD takes an address of each range's slice, asks the store for nothing, and a DEL gives both back", async () => {
  assign({ "10.0.0.0/29": "a", "10.0.0.8/29": "b", "fd00::/125": "a", "fd00::8/125": "b" });
  expect(await site.add("c1", dual, { node: "b" })).toEqual(["10.0.0.9/24", "fd00::9/64"]);
  expect(await site.add("c2", dual, { node: "a" })).toEqual(["10.0.0.1/24", "fd00::1/64"]);
  expect(Object.keys((await entriesOf("b-10.0.0.8-29")) ?? {})).toEqual(["1"]);
  expect(Object.keys((await entriesOf("b-fd00--8-125")) ?? {})).toEqual(["1"]);
  rmSync(folder(), { recursive: true });
  expect(await site.add("c3", dual, { node: "a" })).toEqual(["10.0.0.2/24", "fd00::2/64"]);
  expect(await site.add("c3", dual, { node: "a" })).toEqual(["10.0.0.2/24", "fd00::2/64"]);
  await site.call("CHECK", "c3", dual, {
    node: "a",
    config: { prevResult: { cniVersion: "1.1.0", ips: [{ address: "10.0.0.2/24" }, { address: "fd00::2/64" }] } },
  });
  await site.call("DEL", "c2", dual, { node: "a" });
  expect(Object.keys((await entriesOf("a-fd00---125")) ?? {})).toEqual(["2"]);
  expect(await site.add("c4", dual, { node: "a" })).toEqual(["10.0.0.1/24", "fd00::1/64"]);
  expect(site.reservations()).toEqual([]);
});

test("dual stack: a range whose slice is full takes nothing of the others", async () => {
  assign({ "10.0.0.0/29": "a", "fd00::/126": "a" });
  const ipam = { ...sliced, ipRanges: [{ range: "fd00::/64", node_slice_size: "/126" }] };
  await site.add("c1", ipam);
  await site.add("c2", ipam);
  await expect(site.add("c3", ipam)).rejects.toMatchObject({
    code: 50,
    details: "this node's slices fd00::/126 are full",
  });
  expect(site.journals()).toHaveLength(2);
  assign({ "10.0.0.0/29": "a", "fd00::/126": "a", "fd00::4/126": "a" });
  expect(await site.add("c3", ipam)).toEqual(["10.0.0.3/24", "fd00::5/64"]);
});

test("a range that was added to the network waits for its slices; nothing is given out of what other nodes have", async () => {
  assign({ "10.0.0.0/29": "a", "fd00::/125": "b" });
  await site.add("c1", sliced);
  await expect(site.add("c2", dual)).rejects.toMatchObject({
    code: 11,
    message: expect.stringContaining("node a has no slice of fd00::/64 in nodeslicepool net") as string,
  });
  assign({ "10.0.0.0/29": "a", "fd00::/125": "b", "fd00::8/125": "a" });
  expect(await site.add("c2", dual)).toEqual(["10.0.0.2/24", "fd00::9/64"]);
});

test("ranges that share addresses give each out once, and a DEL gives all back", async () => {
  assign({ "10.0.0.0/29": "a" });
  const twice = { ...sliced, ipRanges: [{ range: "10.0.0.0/24" }], pick_addresses: ["10.0.0.5"] };
  const found = await Promise.all(["c1", "c2", "c3"].map((id) => site.add(id, twice)));
  expect(new Set(found.flat()).size).toBe(6);
  await expect(site.add("c4", twice)).rejects.toMatchObject({ code: 50 });
  for (const id of ["c1", "c2", "c3"]) await site.call("DEL", id, twice);
  expect(readdirSync(join(site.dataDir(), "slices/net")).filter((name) => !name.startsWith("."))).toEqual([]);
});

test("an ADD that was killed after any of its steps leaves nothing behind its DEL", async () => {
  assign({ "10.0.0.0/29": "a", "fd00::/125": "a" });
  await site.add("c1", dual);
  const files = () => readdirSync(join(site.dataDir(), "slices/net")).filter((name) => !name.startsWith("."));
  const journal = join(site.dataDir(), "journal/c1:net1");
  const lines = readFileSync(journal, "utf8").trimEnd().split("\n");
  await site.call("DEL", "c1", dual);
  for (let kept = 1; kept <= lines.length; kept++) {
    await site.add("c1", dual);
    // What the last line that was written announces may have been done or not.
    const steps = readFileSync(journal, "utf8").trimEnd().split("\n").slice(0, kept);
    writeFileSync(journal, `${steps.join("\n")}\n`);
    const announced = new Set(
      steps.flatMap((step) => /"slice":\{"folder":"net","address":"([^"]+)"/.exec(step)?.[1] ?? []),
    );
    for (const file of files()) if (!announced.has(file)) rmSync(join(site.dataDir(), "slices/net", file));
    await site.call("DEL", "c1", dual);
    expect(files(), `after ${kept} lines`).toEqual([]);
    expect(site.journals()).toEqual([]);
  }
});

test("a further range that the size does not divide, or that says so, is shared by all nodes as before", async () => {
  assign({ "10.0.0.0/29": "a", "10.0.0.8/29": "b" });
  const small = { ...sliced, ipRanges: [{ range: "fd00::/126" }] };
  const shared = { ...sliced, ipRanges: [{ range: "fd00:1::/64", node_slice_size: "none" }] };
  expect(await site.add("c1", small, { node: "a" })).toEqual(["10.0.0.1/24", "fd00::1/126"]);
  expect(await site.add("c2", small, { node: "b" })).toEqual(["10.0.0.9/24", "fd00::2/126"]);
  expect(await site.add("c3", shared, { node: "a" })).toEqual(["10.0.0.2/24", "fd00:1::1/64"]);
  expect(await site.add("c4", shared, { node: "b" })).toEqual(["10.0.0.10/24", "fd00:1::2/64"]);
});

test("IPv6 slices behind the lower half of their range's first /64 are given out too", async () => {
  assign({ "fd00:0:0:1::/64": "a" });
  expect(await site.add("c1", { ...sliced, range: "fd00::/56", node_slice_size: "/64" })).toEqual(["fd00:0:0:1::1/56"]);
});

test("static addresses of slices that are to rest are given back one and all", async () => {
  assign({ "10.0.0.0/29": "a" });
  const rests = { ...sliced, release_delay_seconds: 3600 };
  const args = "IgnoreUnknown=1;IP=10.0.0.5/24,10.0.0.6/24";
  expect(await site.add("c1", rests, { args })).toEqual(["10.0.0.1/24", "10.0.0.5/24", "10.0.0.6/24"]);
  await site.call("DEL", "c1", rests, { args });
  expect(site.files(join(site.dataDir(), "delayed"))).toHaveLength(3);
});
