// Pools that overlap, one of which shows an address of Go's that no reservation tells of: what it holds is not given out from the others.
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import type { Age } from "../../src/cluster/pools/port.ts";
import { Indexer } from "../../src/controller/indexer.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { addressesOf, IpamSide, type Json } from "../kit/ipam-side.ts";
import { connectPools, eventually, IpamWorld } from "../kit/ipam-world.ts";

const folder = useTemporaryFolder();
let world: IpamWorld;
let go: IpamSide;
let ours: IpamSide;
let stops: (() => Promise<void>)[];
/** Ranges of its own for each test. */
let [wide, narrow, widePool, narrowPool, net] = ["", "", "", "", ""];
let count = 0;

beforeEach(async () => {
  world = await IpamWorld.make(inject("api"));
  stops = [];
  net = `10.${150 + count++}`;
  [wide, narrow, widePool, narrowPool] = [`${net}.0.0/16`, `${net}.0.0/29`, `${net}.0.0-16`, `${net}.0.0-29`];
  go = await IpamSide.make("go", world, `${folder().path}/go-${count}`);
  ours = await IpamSide.make("ours", world, `${folder().path}/ours-${count}`);
});
afterEach(async () => {
  await Promise.all(stops.map((stop) => stop()));
  await world.clear();
});

async function startIndexer(): Promise<() => Promise<void>> {
  const { namespace } = world;
  const { client, pools } = await connectPools(inject("api"), "polynic-ipam", namespace);
  const stop = new AbortController();
  const end = new Indexer(client, { namespace, pools, signal: stop.signal, log: silentLogger }).run();
  const done = async () => {
    stop.abort();
    await end;
  };
  stops.push(done);
  return done;
}

const elsewhere = async (pool = narrowPool, age: Age = "now") =>
  (await world.pools.getPool(pool, age))?.annotations["polynic.io/held-elsewhere"];
/** Until the server's memory, which an ADD asks, has it too. */
const untilElsewhere = async (want: string | undefined) =>
  expect(await eventually(() => elsewhere(narrowPool, "recent"), want)).toBe(want);

/** What an ADD of ours gives from the narrow range, on a node of its own; the failure's details when it gives nothing. */
async function fromNarrow(over: Json = {}): Promise<string> {
  const sandbox = `o${count++}`;
  const outcome = await ours.call("ADD", { range: narrow, sandbox, node: sandbox, over });
  return addressesOf(outcome)[0] ?? outcome.stdout;
}

/** A pod of a Go node whose address of the second range has an entry and no reservation: Go forgets it when the first range is repeated. */
async function unreservedGoPod(): Promise<() => Promise<unknown>> {
  const first = { range: `10.250.${count}.0/24`, sandbox: `g${count++}` };
  expect(addressesOf(await go.call("ADD", first))).toHaveLength(1);
  const both = { ...first, over: { ipRanges: [{ range: wide }] } };
  expect(addressesOf(await go.call("ADD", both))[1]).toBe(`${net}.0.1`);
  expect(await world.held()).not.toContain(`${net}.0.1`);
  return async () => {
    const { id } = (await world.map(widePool))["1"] as { readonly id: string };
    await world.pools.patchPool(widePool, [{ op: "remove", key: "1", id }]);
  };
}

test("what Go holds in a wider pool without a reservation is not given out from a narrower one, old or new", async () => {
  await world.pools.createPool(narrowPool, narrow);
  await startIndexer();
  const remove = await unreservedGoPod();
  await untilElsewhere("1");
  expect(await fromNarrow()).toBe(`${net}.0.2`);
  // A pool that is made only now is told of it when it is made.
  const [other, otherPool] = [`${net}.0.0/30`, `${net}.0.0-30`];
  expect(addressesOf(await ours.call("ADD", { range: other, sandbox: "new" }))).toEqual([]);
  expect(await elsewhere(otherPool)).toBe("1");
  await remove();
  await untilElsewhere(undefined);
  expect(await fromNarrow()).toBe(`${net}.0.1`);
});

test("a reservation says it better: an address that has one is not told of", async () => {
  await world.goPool(wide, { "1": "default/one", "2": "default/two", "9": "default/outside" });
  await world.goReservation(`${net}.0.1`, "default/one");
  await world.pools.createPool(narrowPool, narrow);
  await startIndexer();
  await untilElsewhere("2");
  await world.goReservation(`${net}.0.2`, "default/two");
  await untilElsewhere(undefined);
  const path = `/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/${world.namespace}/overlappingrangeipreservations`;
  await world.admin.send("DELETE", `${path}/${net}.0.1`);
  await untilElsewhere("1");
  await world.pools.patchPool(widePool, [{ op: "remove", key: "1", id: "go-1" }]);
  await untilElsewhere(undefined);
});

test("a pool that is full but for what others hold says so; what a dead controller has left there keeps nothing", async () => {
  await world.goPool(wide, { "1": "default/one", "2": "default/two" });
  await world.pools.createPool(narrowPool, narrow);
  const stop = await startIndexer();
  await untilElsewhere("1-2");
  await stop();
  const got: string[] = [];
  for (let left = 4; left > 0; left--) got.push(await fromNarrow());
  expect(got.toSorted()).toEqual([3, 4, 5, 6].map((last) => `${net}.0.${last}`));
  expect(await fromNarrow()).toContain("2 by entries of whereabouts in pools that overlap it");
  await world.pools.patchPool(widePool, [{ op: "remove", key: "2", id: "go-2" }]);
  expect(await fromNarrow()).toBe(`${net}.0.2`);
  expect(await elsewhere()).toBe("1-2");
});

test("an address that is asked for is refused while another pool shows its holder, whatever the controller has left", async () => {
  await world.goPool(wide, { "1": "default/one", "2": "default/two" });
  await world.pools.createPool(narrowPool, narrow);
  const stop = await startIndexer();
  await untilElsewhere("1-2");
  await stop();
  await world.pools.patchPool(widePool, [{ op: "remove", key: "2", id: "go-2" }]);
  const asked = async (last: number) => {
    const sandbox = `a${count++}`;
    const args = { cni: { ips: [`${net}.0.${last}`] } };
    return await ours.call("ADD", { range: narrow, sandbox, more: { args } });
  };
  expect((await asked(1)).stdout).toContain(`requested IP address ${net}.0.1 is not available`);
  expect(addressesOf(await asked(2))).toEqual([`${net}.0.2`]);
});

test("where overlaps are not checked other pools do not matter", async () => {
  await world.goPool(wide, { "1": "default/one" });
  await world.pools.createPool(narrowPool, narrow);
  await startIndexer();
  await untilElsewhere("1");
  expect(await fromNarrow({ enable_overlapping_ranges: false })).toBe(`${net}.0.1`);
});
