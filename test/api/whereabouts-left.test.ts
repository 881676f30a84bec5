// Where overlaps are not checked a DEL leaves the entry of its claim to whoever patches the pool next: nobody waits for a write of the whole map.
import { beforeAll, expect, test } from "vitest";
import { tryLockFile } from "../../src/libc/lock.ts";
import { makeDirectories } from "../../src/libc/file.ts";
import { eventually } from "../kit/ipam-world.ts";
import type { Json, SitePod } from "../kit/multus-site.ts";
import { callIpam } from "./call-ipam.ts";
import { useApiSite } from "./use-site.ts";
import { freshRange, WhereaboutsObjects } from "./whereabouts-objects.ts";

const site = useApiSite();
let objects: WhereaboutsObjects;

beforeAll(() => {
  objects = new WhereaboutsObjects(site());
});

/** `node` is the folder of a node; nodes share nothing but the server. */
const configOf = (range: string, node: string, over: Json = {}): Json =>
  objects.config("left", range, {
    kubernetes: { kubeconfig: site().kubeconfigPath },
    enable_overlapping_ranges: false,
    data_dir: site().local.path(node),
    ...over,
  });

async function added(conf: Json, known?: SitePod): Promise<{ readonly pod: SitePod; readonly address: string }> {
  const pod = known ?? (await site().pod());
  const outcome = await callIpam(site(), "ADD", pod, conf);
  expect(outcome).toMatchObject({ exitCode: 0 });
  return { pod, address: (outcome.result as { ips: { address: string }[] }).ips[0]!.address };
}

const deleted = async (pod: SitePod, conf: Json) =>
  expect(await callIpam(site(), "DEL", pod, conf)).toMatchObject({ exitCode: 0 });

/** Keeps the node from taking entries out by itself, as a kill of the process that does would; to be disposed of. */
function withoutRemover(node: string): Disposable {
  makeDirectories(site().local.path(`${node}/writers`), 0o700);
  const lock = tryLockFile(site().local.path(`${node}/writers/.remover`));
  if (lock === undefined) throw new Error("the remover of another test is still there");
  return lock;
}

const keysOf = async (pool: string) => Object.keys(await objects.allocations(pool));

test("the entries of many DELs go together, soon after them, and no DEL writes the pool", async () => {
  const { range, pool } = freshRange();
  const conf = configOf(range, "together");
  const pods = await Promise.all(Array.from({ length: 8 }, () => added(conf)));
  objects.requests();
  await Promise.all(pods.map(({ pod }) => deleted(pod, conf)));
  expect(await eventually(() => keysOf(pool), [])).toEqual([]);
  const requests = objects.requests();
  expect(requests).toMatchObject({
    "patch overlappingrangeipreservations": 8,
    "delete overlappingrangeipreservations": 8,
  });
  expect(requests["patch ippools"] ?? 0).toBeLessThan(8);
});

test("an ADD of the node that gets the address again replaces what a DEL has left, in the one patch that it makes", async () => {
  const { net, range, pool } = freshRange();
  const conf = configOf(range, "again");
  using _lock = withoutRemover("again");
  const { pod } = await added(conf);
  await deleted(pod, conf);
  expect(await keysOf(pool)).toEqual(["1"]);
  const before = (await objects.allocations(pool))["1"];
  objects.requests();
  // The same container: its entry must not be taken for the one that is to go.
  expect((await added(conf, pod)).address).toBe(`${net}.1/24`);
  expect(objects.requests()).toMatchObject({ "patch ippools": 1 });
  const { "1": entry, ...others } = await objects.allocations(pool);
  expect([others, entry]).toEqual([{}, expect.objectContaining({ podref: `${pod.namespace}/${pod.name}` })]);
  expect(entry).not.toEqual(before);
});

test("an entry that is left goes with the next ADD of the node, whatever address that gets", async () => {
  const { net, range, pool } = freshRange();
  const conf = configOf(range, "next");
  using _lock = withoutRemover("next");
  const [first, second] = [await added(conf), await added(conf)];
  await deleted(first.pod, conf);
  expect((await keysOf(pool)).toSorted()).toEqual(["1", "2"]);
  const third = await added(configOf(range, "next", { range_start: `${net}.9` }));
  expect((await keysOf(pool)).toSorted()).toEqual(["2", "9"]);
  for (const { pod } of [second, third]) await deleted(pod, conf);
});

test("another node that claims the address replaces the entry, and what the first one has left takes nothing away", async () => {
  const { net, range, pool } = freshRange(29);
  const [one, two] = [configOf(range, "one"), configOf(range, "two")];
  const holder = await added(one);
  expect(holder.address).toBe(`${net}.1/29`);
  {
    using _lock = withoutRemover("one");
    await deleted(holder.pod, one);
  }
  const only = { ...two, ipam: { ...(two["ipam"] as Json), range_end: `${net}.1` } };
  const next = await added(only);
  expect(next.address).toBe(`${net}.1/29`);
  const shown = await objects.allocations(pool);
  expect(shown).toMatchObject({ "1": { podref: `${next.pod.namespace}/${next.pod.name}` } });
  // The first node takes out what it has left, with the entry of a claim of its own.
  await added(one);
  expect(await objects.allocations(pool)).toMatchObject(shown);
  expect((await keysOf(pool)).toSorted()).toEqual(["1", "2"]);
});
