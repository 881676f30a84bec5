// Many calls at once, watched by the duplicate detector: after each step no address is held by two sandboxes, and once the index has settled every
// claim has its key and every key its claim.
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { disagreements, DuplicateDetector } from "../kit/duplicate-detector.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { addressesOf, type IpamCall, inParallel, IpamSide } from "../kit/ipam-side.ts";
import { connectPools, eventually, IpamWorld } from "../kit/ipam-world.ts";
import { withIndex } from "../kit/with-index.ts";

const folder = useTemporaryFolder();
let world: IpamWorld;
let ours: IpamSide;
let detector: DuplicateDetector;
let count = 0;

beforeEach(async () => {
  world = await IpamWorld.make(inject("api"));
  ours = await IpamSide.make("ours", world, `${folder().path}/${count++}`);
  detector = new DuplicateDetector();
});
afterEach(async () => {
  await world.clear();
});

async function add(call: IpamCall): Promise<void> {
  const outcome = await ours.call("ADD", call);
  expect(outcome).toMatchObject({ exitCode: 0 });
  detector.added(call.sandbox, addressesOf(outcome));
  expect(detector.duplicates).toEqual([]);
}

async function del(call: IpamCall): Promise<void> {
  detector.deleting(call.sandbox);
  expect(await ours.call("DEL", call)).toMatchObject({ exitCode: 0 });
}

/** Every key of the pools. */
async function keys(): Promise<string[]> {
  return (await world.pools.listPools()).flatMap(({ name, allocations }) =>
    Object.keys(allocations).map((key) => `${name} ${key}`),
  );
}

test("40 pods of four nodes at once, on two overlapping ranges, get addresses of their own and leave no entry (WHEREABOUTS 97, 110, 483, 553)", async () => {
  const calls = Array.from({ length: 40 }, (_, index) => ({
    range: `10.93.0.0/${index % 2 === 0 ? 24 : 26}`,
    sandbox: `s${index}`,
    node: `n${index % 4}`,
  }));
  const { pools } = await connectPools(world.api, "polynic-ipam", world.namespace);
  await withIndex(world, async () => {
    await Promise.all(calls.map(add));
    expect(detector.claims).toBe(40);
    expect(await eventually(() => disagreements(pools), [])).toEqual([]);
    expect(await keys()).toHaveLength(40);
    // All at once again, while half of them come back.
    await Promise.all(calls.slice(20).map(del));
    await Promise.all([...calls.slice(0, 20).map(del), ...calls.slice(20).map(add)]);
    expect(await eventually(() => disagreements(pools), [])).toEqual([]);
    expect(await world.held()).toHaveLength(20);
    await Promise.all(calls.slice(20).map(del));
    expect(await world.held()).toEqual([]);
    expect(await eventually(keys, [])).toEqual([]);
  });
});

test("pods that come and go on the slices of two nodes never share an address, and the pools follow", async () => {
  const range = "10.94.0.0/24";
  const slices = { n0: "10.94.0.0/27", n1: "10.94.0.32/27" };
  await world.admin.create({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "NodeSlicePool",
    metadata: { namespace: world.namespace, name: "lan" },
    spec: { range, sliceSize: "/27" },
    status: { allocations: Object.entries(slices).map(([nodeName, sliceRange]) => ({ nodeName, sliceRange })) },
  });
  const over = { node_slice_size: "/27", enable_overlapping_ranges: false };
  const calls = Array.from({ length: 60 }, (_, index) => ({
    range,
    over,
    sandbox: `s${index}`,
    node: `n${index % 2}`,
  }));
  // As many as there are addresses; then each goes and another one comes in its place, in no order.
  await inParallel(calls, 10, add);
  expect(await ours.call("ADD", { ...calls[0]!, sandbox: "late" })).toMatchObject({ exitCode: 1 });
  await inParallel(calls.slice(0, 30), 10, async (call) => {
    await del(call);
    await add({ ...call, sandbox: `${call.sandbox}-again` });
  });
  expect(detector.claims).toBe(90);
  const living = [...detector.living.values()].flat().map((address) => Number(address.split(".")[3]));
  const wanted = living
    .map((last) => (last < 32 ? `n0-10.94.0.0-27 ${last}` : `n1-10.94.0.32-27 ${last - 32}`))
    .toSorted();
  const shown = async () => (await keys()).toSorted();
  expect(await eventually(shown, wanted)).toEqual(wanted);
});
