// The index of the pools on a real API server, with the controller's own rights: what claims do, the maps show.
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { Indexer } from "../../src/controller/indexer.ts";
import { loggerTo } from "../../src/log/logger.ts";
import { indexId } from "../../src/pool/claim.ts";
import { ApiProxy } from "../kit/api-proxy.ts";
import { AuditLog, inWords } from "../kit/audit-log.ts";
import { connectPools, eventually, IpamWorld } from "../kit/ipam-world.ts";

let world: IpamWorld;
let stops: (() => Promise<void>)[];
let lines: string[];
let count = 0;
/** A /16 of its own for each test. */
let net: string;

beforeEach(async () => {
  world = await IpamWorld.make(inject("api"));
  [stops, lines] = [[], []];
  net = `10.${100 + count++}`;
});
afterEach(async () => {
  await Promise.all(stops.map((stop) => stop()));
  await world.clear();
});

async function startIndexer(url?: string): Promise<() => Promise<void>> {
  const { namespace } = world;
  const { client, pools } = await connectPools(inject("api"), "polynic-ipam", namespace, url);
  const log = loggerTo("debug", ({ message }) => lines.push(message));
  const stop = new AbortController();
  const indexer = new Indexer(client, { namespace, pools, signal: stop.signal, log });
  const end = indexer.run();
  const done = async () => {
    stop.abort();
    await end;
  };
  stops.push(done);
  return done;
}

const poolOf = () => `${net}.0.0-16`;

const claim = (last: number) => {
  const address = `${net}.${last >> 8}.${last & 255}`;
  const podref = `default/web-${last}`;
  return world.claim({ range: `${net}.0.0/16`, address, podref, containerId: `container-${last}` });
};

const entry = (last: number) => ({
  id: indexId(`container-${last}`),
  podref: `default/web-${last}`,
  ifname: "net1",
});
const map = async () => (await world.pools.getPool(poolOf()))?.allocations ?? {};

/** Waits until the pool's map is that; the last look is the assertion. */
async function untilMap(want: object): Promise<void> {
  expect(await eventually(map, want)).toEqual(want);
}

test("a claim is shown, its pool is made, and what is given back is shown no more", async () => {
  await startIndexer();
  const one = await claim(5);
  await claim(6);
  await untilMap({ "5": entry(5), "6": entry(6) });
  expect((await world.pools.getPool(poolOf()))?.annotations).toMatchObject({
    "polynic.io/used": "2 of 65534",
    "polynic.io/claims": "both",
  });
  await world.pools.deleteReservation(one.name, one.uid, true);
  await untilMap({ "6": entry(6) });
});

test("what was claimed and given back while nobody looked is put right at the start", async () => {
  const stop = await startIndexer();
  const one = await claim(5);
  await untilMap({ "5": entry(5) });
  await stop();
  await world.pools.deleteReservation(one.name, one.uid, true);
  await claim(7);
  await startIndexer();
  await untilMap({ "7": entry(7) });
});

test("what Go has written is left alone, and its holder and a claim of the same address are told of", async () => {
  await world.pools.createPool(poolOf(), `${net}.0.0/16`);
  const go = { id: "go", podref: "default/go", ifname: "net1" };
  await world.pools.patchPool(poolOf(), [
    { op: "add", key: "1", entry: go },
    { op: "add", key: "5", entry: go },
  ]);
  await startIndexer();
  await claim(5);
  await claim(6);
  await untilMap({ "1": go, "5": go, "6": entry(6) });
  expect(lines.filter((line) => line.startsWith("duplicate"))).toEqual([
    `duplicate: ${net}.0.5 of pool ${poolOf()} is claimed by default/web-5 (net1), and the pool shows default/go (net1)`,
  ]);
});

test("an entry that Go took away for no reason comes back", async () => {
  await startIndexer();
  await claim(5);
  await untilMap({ "5": entry(5) });
  await world.pools.patchPool(poolOf(), [{ op: "remove", key: "5", id: indexId("container-5") }]);
  await untilMap({ "5": entry(5) });
});

test("a claim that Go has marked for deletion is shown as long as it holds", async () => {
  await startIndexer();
  const one = await claim(5);
  await untilMap({ "5": entry(5) });
  await world.admin.delete({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "OverlappingRangeIPReservation",
    metadata: { namespace: world.namespace, name: one.name },
  });
  await claim(6);
  await untilMap({ "5": entry(5), "6": entry(6) });
  await world.pools.deleteReservation(one.name, one.uid, true);
  await untilMap({ "6": entry(6) });
});

test("two indexers write what one would", async () => {
  await startIndexer();
  await startIndexer();
  const claims = await Promise.all(Array.from({ length: 60 }, (_, index) => claim(index + 1)));
  await Promise.all(claims.slice(0, 30).map(({ name, uid }) => world.pools.deleteReservation(name, uid, true)));
  await untilMap(Object.fromEntries(Array.from({ length: 30 }, (_, index) => [String(index + 31), entry(index + 31)])));
});

test("a server that breaks off answers, and is away for a while, changes nothing in the end", async () => {
  using proxy = await ApiProxy.open(inject("api"));
  const url = `https://127.0.0.1:${proxy.port}`;
  const stop = await startIndexer(url);
  await claim(1);
  await untilMap({ "1": entry(1) });
  proxy.plan((step, occurrence) =>
    step === "patch ippools" && occurrence % 2 === 1 ? { kind: "reset-after" } : { kind: "pass" },
  );
  for (let last = 2; last < 8; last++) await claim(last);
  const seven = Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map((last) => [String(last), entry(last)]));
  await untilMap(seven);
  proxy.plan(() => ({ kind: "reset" }));
  await claim(8);
  await Bun.sleep(500);
  proxy.plan(() => ({ kind: "pass" }));
  await untilMap({ ...seven, "8": entry(8) });
  await stop();
});

test("of a large pool, which is sent back as a whole, nothing is lost that others keep or write there", async () => {
  const go = (key: number) => ({ id: `go-${key}`, podref: `default/go-${key}`, ifname: "net1" });
  const shown: Record<string, object> = Object.fromEntries(
    Array.from({ length: 1000 }, (_, index) => [String(index + 1), go(index + 1)]),
  );
  const kept = { labels: { team: "a" }, annotations: { note: "ours" } };
  await world.admin.create({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata: { namespace: world.namespace, name: poolOf(), ...kept },
    spec: { range: `${net}.0.0/16`, allocations: shown },
  });
  const audit = new AuditLog(inject("api"));
  audit.take(world.namespace);
  await startIndexer();
  // One claim after the other, while nobody else writes; then both at once.
  for (const key of [2001, 2002]) {
    await claim(key);
    shown[key] = entry(key);
    await untilMap(shown);
  }
  const asked = audit.take(world.namespace).map(inWords);
  expect(asked).toContain("update ippools");
  // One writer at a time, as Go's are by their Lease.
  for (let index = 0; index < 10; index++) {
    const [own, foreign] = [3001 + index, 4001 + index];
    const enter = world.pools.patchPool(poolOf(), [{ op: "add", key: String(foreign), entry: go(foreign) }]);
    const [, isEntered] = await Promise.all([claim(own), enter]);
    expect(isEntered).toBe(true);
    shown[own] = entry(own);
    shown[foreign] = go(foreign);
  }
  await untilMap(shown);
  const name = { namespace: world.namespace, name: poolOf() };
  const left = await world.admin.get({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata: name,
  });
  expect(left.metadata).toMatchObject(kept);
  expect(left.metadata["managedFields"]).toBeUndefined();
});

test("a pool with 7,000 entries of Go nodes shows what is claimed beside them", async () => {
  const go = (key: number) => ({ id: `go-${key}`, podref: `default/go-${key}`, ifname: "net1" });
  const allocations = Object.fromEntries(
    Array.from({ length: 7000 }, (_, index) => [String(index + 1), go(index + 1)]),
  );
  await world.admin.create({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata: { namespace: world.namespace, name: poolOf() },
    spec: { range: `${net}.0.0/16`, allocations },
  });
  await startIndexer();
  const claims = await Promise.all(Array.from({ length: 100 }, (_, index) => claim(index + 7001)));
  const shown = Object.fromEntries(claims.map((_, index) => [String(index + 7001), entry(index + 7001)]));
  await untilMap({ ...allocations, ...shown });
  const name = { namespace: world.namespace, name: poolOf() };
  const { metadata } = await world.admin.get({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "IPPool",
    metadata: name,
  });
  expect(metadata["managedFields"]).toBeUndefined();
  await Promise.all(claims.map(({ name, uid }) => world.pools.deleteReservation(name, uid, true)));
  await untilMap(allocations);
});
