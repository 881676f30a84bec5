// What an ADD asks of the server when many run on one node, and when much is taken already.
import { beforeAll, expect, test } from "vitest";
import type { Json } from "../kit/multus-site.ts";
import { callIpam } from "./call-ipam.ts";
import { useApiSite } from "./use-site.ts";
import { aMomentMs, freshRange, WhereaboutsObjects } from "./whereabouts-objects.ts";

const site = useApiSite();
let objects: WhereaboutsObjects;

beforeAll(() => {
  objects = new WhereaboutsObjects(site());
});

async function add(config: Json, count: number): Promise<string[]> {
  const pods = await Promise.all(Array.from({ length: count }, () => site().pod()));
  const outcomes = await Promise.all(pods.map((pod) => callIpam(site(), "ADD", pod, config)));
  expect(outcomes.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
  return outcomes.map(({ result }) => (result as { ips: { address: string }[] }).ips[0]!.address.replace(/\/.*/, ""));
}

/** A config of a plugin that is called by itself. */
const configOf = (name: string, range: string, over: Json = {}) =>
  objects.config(name, range, { kubernetes: { kubeconfig: site().kubeconfigPath }, ...over });

const taken = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      String(index + 1),
      { id: "go", podref: `default/go-${index}`, ifname: "net1" },
    ]),
  );

test("calls of a node that run at once choose different addresses, the lowest, and one of them makes the pool", async () => {
  const { net, range } = freshRange();
  objects.requests();
  const addresses = await add(configOf("burst", range), 12);
  expect(addresses.toSorted()).toEqual(Array.from({ length: 12 }, (_, index) => `${net}.${index + 1}`).toSorted());
  expect(objects.requests()).toMatchObject({
    "create overlappingrangeipreservations": 12,
    "create ippools": 1,
    "patch ippools": 1,
    "list overlappingrangeipreservations": 1,
  });
});

test("a pool with much in it is read once, then asked whether it has changed; an entry that Go adds is seen", async () => {
  const { net, range, pool } = freshRange();
  await objects.makePool(pool, range, taken(220), "network");
  const config = configOf("large", range);
  objects.requests();
  expect(await add(config, 1)).toEqual([`${net}.221`]);
  expect(objects.requests()).toEqual({ "get ippools": 1, "create overlappingrangeipreservations": 1 });
  await Bun.sleep(aMomentMs);
  expect(await add(config, 1)).toEqual([`${net}.222`]);
  expect(objects.requests()).toEqual({ "get ippools": 1, "create overlappingrangeipreservations": 1 });
  await objects.enter(pool, "223", { id: "go", podref: "default/new", ifname: "net1" });
  await Bun.sleep(aMomentMs);
  expect(await add(config, 1)).toEqual([`${net}.224`]);
});

test("where the entry is tested for when it is written, the pool is not read again within moments", async () => {
  const { net, range, pool } = freshRange();
  await objects.makePool(pool, range, taken(20));
  const config = configOf("apart", range, { enable_overlapping_ranges: false });
  objects.requests();
  const addresses = await add(config, 6);
  expect(new Set(addresses)).toEqual(new Set(Array.from({ length: 6 }, (_, index) => `${net}.${index + 21}`)));
  expect(Object.keys(await objects.allocations(pool))).toHaveLength(26);
  expect(objects.requests()["create overlappingrangeipreservations"]).toBe(6);
});

test("by which names a pool of Go's making is claimed is settled by the first who claims in it, once", async () => {
  const { net, range, pool } = freshRange();
  await objects.makePool(pool, range, taken(3));
  const config = configOf("settled", range);
  objects.requests();
  expect(await add(config, 1)).toEqual([`${net}.4`]);
  expect(objects.requests()).toEqual({
    "get ippools": 1,
    "list overlappingrangeipreservations": 1,
    "patch ippools": 1,
    "create overlappingrangeipreservations": 1,
  });
  await Bun.sleep(aMomentMs);
  expect(await add(config, 1)).toEqual([`${net}.5`]);
  expect(objects.requests()).toEqual({ "get ippools": 1, "create overlappingrangeipreservations": 1 });
});

test.each([
  { what: "has none of Go's reservations", reserved: [] as string[], scope: "pool" },
  { what: "has one of Go's reservations", reserved: ["2"], scope: "both" },
])("who does not check overlaps settles a pool of Go's making that $what as $scope", async ({ reserved, scope }) => {
  const { net, range, pool } = freshRange();
  await objects.makePool(pool, range, taken(3));
  for (const last of reserved) await objects.makeReservation(`${net}.${last}`, "default/go-1");
  const addresses = await add(configOf("apart", range, { enable_overlapping_ranges: false }), 4);
  expect(addresses.toSorted()).toEqual([4, 5, 6, 7].map((last) => `${net}.${last}`));
  expect(await objects.pool(pool)).toMatchObject({ metadata: { annotations: { "polynic.io/claims": scope } } });
  const names = addresses.flatMap((ip) => (scope === "pool" ? [`${pool}.${ip}`] : [ip, `${pool}.${ip}`]));
  const found = (await objects.reservations(net)).filter((name) => !reserved.includes(name.slice(net.length + 1)));
  expect(found.toSorted()).toEqual(names.toSorted());
});

test("calls that check overlaps and calls that do not, at once in a pool of Go's making, have a name in common", async () => {
  const { range, pool } = freshRange();
  await objects.makePool(pool, range);
  const apart = configOf("mixed", range, { enable_overlapping_ranges: false, data_dir: site().local.path("apart") });
  const found = await Promise.all([add(configOf("mixed", range), 5), add(apart, 5)]);
  expect(new Set(found.flat()).size).toBe(10);
  expect(await objects.pool(pool)).toMatchObject({
    metadata: { annotations: { "polynic.io/claims": expect.stringMatching(/^(network|pool)$/) as string } },
  });
});
