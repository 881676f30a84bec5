// Bad days of the pools as a whole: no controller for long, addresses that others hold, an exact fill, a node that dies with its pods.
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { collect } from "../../src/controller/collector.ts";
import { Indexer } from "../../src/controller/indexer.ts";
import { Scans } from "../../src/controller/scans.ts";
import { ApiSurveyor } from "../../src/controller/survey.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { disagreements, DuplicateDetector } from "../kit/duplicate-detector.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { addressesOf, inParallel, IpamSide } from "../kit/ipam-side.ts";
import { connectPools, eventually, IpamWorld } from "../kit/ipam-world.ts";

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

/** Runs `work` while an index is kept. */
async function withIndex(work: () => Promise<void>): Promise<void> {
  const { client, pools } = await connectPools(inject("api"), "polynic-ipam", world.namespace);
  const stop = new AbortController();
  const shared = { namespace: world.namespace, signal: stop.signal, log: silentLogger };
  const end = new Indexer(client, { ...shared, pools }).run();
  try {
    await work();
  } finally {
    stop.abort();
    await end;
  }
}

test(
  "with no controller a pool of 30 serves exactly 30 pods of three nodes, and the index is right once one is there",
  { timeout: 240_000 },
  async () => {
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
    await withIndex(async () => {
      const { pools } = await connectPools(inject("api"), "polynic-ipam", world.namespace);
      expect(await eventually(() => disagreements(pools), [])).toEqual([]);
      expect(Object.keys(await world.map("10.90.0.0-27"))).toHaveLength(25);
    });
  },
);

test(
  "40 addresses that an overlapping pool of Go's holds are passed over in one ADD",
  { timeout: 120_000 },
  async () => {
    const keys = Array.from({ length: 40 }, (_, index) => index + 1);
    await world.goPool("10.91.0.0/25", Object.fromEntries(keys.map((key) => [String(key), `default/go-${key}`])), true);
    const outcome = await ours.call("ADD", { range: "10.91.0.0/24", sandbox: "s1" });
    expect(outcome).toMatchObject({ exitCode: 0 });
    const [address = ""] = addressesOf(outcome);
    expect(Number(address.split(".")[3])).toBeGreaterThan(40);
    expect(await ours.call("DEL", { range: "10.91.0.0/24", sandbox: "s1" })).toMatchObject({ exitCode: 0 });
  },
);

test("a node that dies with its pods gives its addresses back when it is gone, not while it is only silent", async () => {
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
