// Bad days of the pools as a whole: no controller for long, addresses that others hold, an exact fill, a node that dies with its pods.
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { collect } from "../../src/controller/collector.ts";
import { runCollector } from "../../src/controller/ipam-controller.ts";
import { Scans } from "../../src/controller/scans.ts";
import { ApiSurveyor } from "../../src/controller/survey.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { loggerTo, type LogEntry } from "../../src/log/logger.ts";
import { ApiProxy } from "../kit/api-proxy.ts";
import { disagreements, DuplicateDetector } from "../kit/duplicate-detector.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { addressesOf, inParallel, IpamSide } from "../kit/ipam-side.ts";
import { connectPools, eventually, IpamWorld } from "../kit/ipam-world.ts";
import { withIndex } from "../kit/with-index.ts";

const folder = useTemporaryFolder();
let world: IpamWorld;
let ours: IpamSide;
let count = 0;

beforeEach(async () => {
  world = await IpamWorld.make(inject("api"));
  ours = await IpamSide.make("ours", world, `${folder().path}/${count++}`);
});
afterEach(async () => {
  await world.clear();
});

test("with no controller a pool of 30 serves exactly 30 pods of three nodes, and the index is right once one is there", async () => {
  const range = "10.90.0.0/27";
  const detector = new DuplicateDetector();
  const sandboxes = Array.from({ length: 30 }, (_, index) => `s${index}`);
  const call = (sandbox: string) => ({ range, sandbox, node: `n${Number(sandbox.slice(1)) % 3}` });
  const failed: string[] = [];
  await inParallel(sandboxes, 10, async (sandbox) => {
    const outcome = await ours.call("ADD", call(sandbox));
    if (outcome.exitCode === 0) detector.added(sandbox, addressesOf(outcome));
    else failed.push(`${sandbox} ${outcome.stdout}`);
    expect(detector.duplicates).toEqual([]);
  });
  expect(detector.claims).toBe(30);
  expect(failed).toEqual([]);
  expect(await ours.call("ADD", call("s31"))).toMatchObject({
    exitCode: 1,
    stdout: expect.stringContaining('"code": 50'),
  });
  await inParallel(sandboxes.slice(0, 5), 5, async (sandbox) => {
    detector.deleting(sandbox);
    expect(await ours.call("DEL", call(sandbox))).toMatchObject({ exitCode: 0 });
  });
  await withIndex(world, async () => {
    const { pools } = await connectPools(inject("api"), "polynic-ipam", world.namespace);
    expect(await eventually(() => disagreements(pools), [])).toEqual([]);
    expect(Object.keys(await world.map("10.90.0.0-27"))).toHaveLength(25);
  });
});

test("40 addresses that an overlapping pool of Go's holds are passed over in one ADD", async () => {
  const keys = Array.from({ length: 40 }, (_, index) => index + 1);
  await world.goPool("10.91.0.0/25", Object.fromEntries(keys.map((key) => [String(key), `default/go-${key}`])), true);
  const outcome = await ours.call("ADD", { range: "10.91.0.0/24", sandbox: "s1" });
  expect(outcome).toMatchObject({ exitCode: 0 });
  const [address = ""] = addressesOf(outcome);
  expect(Number(address.split(".")[3])).toBeGreaterThan(40);
  expect(await ours.call("DEL", { range: "10.91.0.0/24", sandbox: "s1" })).toMatchObject({ exitCode: 0 });
});

test("a node that dies with its pods gives its addresses back when it is gone, not while it is only silent (WHEREABOUTS 484)", async () => {
  const node = `${world.namespace}-dead`;
  await world.node(node, false);
  const podUid = await world.pod(`${world.namespace}-p`, { node });
  const call = { range: "10.92.0.0/24", sandbox: "s1", pod: `${world.namespace}-p`, podUid, node };
  expect(await ours.call("ADD", call)).toMatchObject({ exitCode: 0 });
  await world.deletePod(`${world.namespace}-p`);
  const { client, pools } = await connectPools(inject("api"), "polynic-ipam", world.namespace);
  const surveyor = new ApiSurveyor(client, pools);
  const shared = { surveyor, pools, scans: new Scans(0), isDryRun: false, log: silentLogger, onRelease: () => {} };
  for (let pass = 0; pass < 3; pass++) await collect(shared);
  expect(await world.held()).toEqual(["10.92.0.1"]);
  await world.deleteNode(node);
  for (let pass = 0; pass < 2; pass++) await collect(shared);
  expect(await world.held()).toEqual([]);
  // The node comes back, and its runtime deletes what it still knows of: nothing is left to be given back, which is no error.
  expect(await ours.call("DEL", call)).toMatchObject({ exitCode: 0 });
});

test("150 leaked addresses go in one pass of a server that asks for patience; what could not go is told, and goes with the next (WHEREABOUTS 388, 389, 396)", async () => {
  const range = "10.95.0.0/24";
  const gone = `default/${world.namespace}-gone`;
  await world.pod(`${world.namespace}-p`);
  await world.claim({ range, address: "10.95.0.1", podref: `default/${world.namespace}-p` });
  const ours = Array.from({ length: 100 }, (_, index) => `10.95.0.${index + 2}`);
  await inParallel(ours, 10, async (address) => void (await world.claim({ range, address, podref: gone })));
  await world.goPool("10.96.0.0/24", Object.fromEntries(ours.slice(0, 50).map((_, index) => [`${index + 1}`, gone])));
  using proxy = await ApiProxy.open(inject("api"));
  const { client, pools } = await connectPools(inject("api"), "polynic-ipam", world.namespace, proxy.url);
  const lines: string[] = [];
  const log = loggerTo("verbose", (entry: LogEntry) => void lines.push(entry.message));
  const shared = { surveyor: new ApiSurveyor(client, pools), pools, isDryRun: false, log, onRelease: () => {} };
  const scans = new Scans(0);
  await collect({ ...shared, scans });
  proxy.plan((step, occurrence) => {
    if (step !== "delete overlappingrangeipreservations") return { kind: "pass" };
    if (occurrence === 1) return { kind: "answer", status: 403 };
    return occurrence % 10 === 0 ? { kind: "answer", status: 429, headers: { "retry-after": "1" } } : { kind: "pass" };
  });
  expect(await collect({ ...shared, scans })).toMatchObject({ suspects: 150, released: 149, failed: 1 });
  expect(lines).toContainEqual(expect.stringMatching(/^reservation 10\.95\.0\.\d+ was not released: .*403/));
  expect(lines.at(-1)).toMatch(/^gc: 151 holdings in 1 pools, 150 without a holder, 149 released, 1 failed, \d+ ms$/);
  proxy.plan(() => ({ kind: "pass" }));
  expect(await collect({ ...shared, scans })).toMatchObject({ suspects: 1, released: 1, failed: 0 });
  expect(await world.held()).toEqual(["10.95.0.1"]);
  expect(await world.map("10.96.0.0-24")).toEqual({});
});

test("a pass that can't list the pools is told of, and the next one does its work (WHEREABOUTS 172)", async () => {
  await world.claim({ range: "10.97.0.0/24", address: "10.97.0.1", podref: `default/${world.namespace}-gone` });
  using proxy = await ApiProxy.open(inject("api"));
  proxy.plan((step, occurrence) =>
    step === "list ippools" && occurrence <= 2 ? { kind: "answer", status: 403 } : { kind: "pass" },
  );
  const { client, pools } = await connectPools(inject("api"), "polynic-ipam", world.namespace, proxy.url);
  const lines: string[] = [];
  const stop = new AbortController();
  const end = runCollector(client, {
    pools,
    namespace: world.namespace,
    identity: "test",
    schedule: () => "@every 1s",
    confirmAfterMs: 0,
    isDryRun: false,
    signal: stop.signal,
    log: loggerTo("verbose", (entry: LogEntry) => void lines.push(entry.message)),
  });
  try {
    expect(await eventually(() => world.held(), [])).toEqual([]);
  } finally {
    stop.abort();
    await end;
  }
  expect(lines.filter((line) => line.startsWith("gc: nothing was looked at: list ippools"))).toHaveLength(2);
});

test("an API server with an IPv6 address serves a range of IPv6 alone (WHEREABOUTS openshift 23)", async () => {
  const six = await IpamSide.make("ours", world, `${folder().path}/six`, `https://[::1]:${inject("api").port}`);
  const call = { range: "fd00:98::/64", sandbox: "s1" };
  expect(addressesOf(await six.call("ADD", call))).toEqual(["fd00:98::1"]);
  expect(await world.held()).toEqual(["fd00-98--1"]);
  expect(await six.call("DEL", call)).toMatchObject({ exitCode: 0 });
  expect(await world.held()).toEqual([]);
});
