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
  await objects.makePool(pool, range, taken(220));
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
  expect(objects.requests()["create overlappingrangeipreservations"]).toBe(12);
});
