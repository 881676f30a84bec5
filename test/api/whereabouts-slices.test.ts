// Slices of nodes on a real API server: the way of an ADD makes no request while what the server said is fresh, and the pools follow.
import { beforeAll, expect, test } from "vitest";
import { foldersOf } from "../../src/ipam/whereabouts/slice-folder.ts";
import { tryLockFile } from "../../src/libc/lock.ts";
import { inWords } from "../kit/audit-log.ts";
import type { Json, SitePod } from "../kit/multus-site.ts";
import { callIpam } from "./call-ipam.ts";
import { useApiSite } from "./use-site.ts";
import { freshRange, WhereaboutsObjects } from "./whereabouts-objects.ts";

const site = useApiSite();
let objects: WhereaboutsObjects;
const followTimeoutMs = 60_000;
const pollMs = 50;

beforeAll(() => {
  objects = new WhereaboutsObjects(site());
});

/** Requests about whereabouts' objects since the last call, those of the process that writes the pools apart: "patch ippools <name>". */
function counted(): { readonly calls: string[]; readonly writer: string[] } {
  const entries = site().audit.take("kube-system");
  const of = (verb: RegExp) => entries.filter(({ userAgent }) => verb.test(userAgent));
  return {
    calls: of(/^polynic\/.*\((ADD|DEL)\)$/).map(inWords),
    writer: of(/^polynic\/.*\(index\)$/).map((entry) => `${inWords(entry)} ${entry.name}`),
  };
}

/** Waits until the pool has exactly these keys. */
async function follows(pool: string, keys: readonly string[]): Promise<void> {
  const deadline = performance.now() + followTimeoutMs;
  const current = async () => Object.keys(await objects.allocations(pool)).sort();
  while (performance.now() < deadline && (await current()).join() !== keys.join()) await Bun.sleep(pollMs);
  expect(await current()).toEqual(keys);
}

/** Waits until no process writes the pools of this node's slices; none does until the descriptor is disposed of. */
async function takeWriter(): Promise<Disposable> {
  const deadline = performance.now() + followTimeoutMs;
  for (;;) {
    const lock = tryLockFile(`${foldersOf(objects.dataDir)}/.writer`);
    if (lock !== undefined) return lock;
    if (performance.now() > deadline) throw new Error("whoever writes the pools does not end");
    await Bun.sleep(pollMs);
  }
}

test("the node gives out its slice without a request, the pool follows in batches, and Go's entries in it are respected", async () => {
  const { net, range } = freshRange();
  const node = "node-1";
  const pool = `${node}-${net}.64-26`;
  const name = `sliced-${net.replaceAll(".", "-")}`;
  const allocations = [
    { nodeName: "node-2", sliceRange: `${net}.0/26` },
    { nodeName: node, sliceRange: `${net}.64/26` },
  ];
  await objects.makeNodeSlicePool(name, range, "/26", allocations);
  await objects.makePool(pool, `${net}.64/26`, { "1": { id: "go", podref: "default/go", ifname: "net1" } });
  const base = objects.config(name, range, {
    kubernetes: { kubeconfig: site().kubeconfigPath },
    node_slice_size: "/26",
    enable_overlapping_ranges: false,
  });
  const conf: Json = { ...base, name };
  const pods: SitePod[] = [];
  const add = async (): Promise<unknown> => {
    const pod = await site().pod();
    pods.push(pod);
    return (await callIpam(site(), "ADD", pod, conf, { NODENAME: node })).result;
  };
  counted();
  expect(await add()).toMatchObject({ ips: [{ address: `${net}.66/24` }] });
  // The slice's pool, and that of the range, which all nodes may have shared before.
  expect(counted().calls).toEqual(["get nodeslicepools", "get ippools", "get ippools"]);
  expect(await Promise.all([add(), add(), add()])).toHaveLength(3);
  await follows(pool, ["1", "2", "3", "4", "5"]);
  expect(counted().calls).toEqual([]);
  const turn = await takeWriter();
  // Whoever comes while somebody writes only notes that there is more to write.
  await Promise.all([add(), add(), add()]);
  turn[Symbol.dispose]();
  await add();
  await follows(pool, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  const { calls, writer } = counted();
  expect(calls).toEqual([]);
  expect(writer.filter((what) => what === `patch ippools ${pool}`)).toHaveLength(1);
  expect((await objects.allocations(pool))["2"]).toMatchObject({ id: `polynic-slice:${pods[0]?.containerId}` });
  expect(await objects.reservations(net)).toEqual([]);
  for (const pod of pods)
    expect(await callIpam(site(), "DEL", pod, conf, { NODENAME: node })).toMatchObject({ exitCode: 0 });
  await follows(pool, ["1"]);
  expect(counted().calls).toEqual([]);
});

test("dual stack: addresses that nodes took while they shared the ranges are passed over, and then no ADD or DEL makes a request", async () => {
  const { net, range, pool: shared } = freshRange();
  const node = "node-1";
  const name = `dual-${net.replaceAll(".", "-")}`;
  const six = `fd00:${net.replaceAll(".", ":")}::`;
  const allocations = [
    { nodeName: node, sliceRange: `${net}.0/28` },
    { nodeName: node, sliceRange: `${six}/124` },
  ];
  const over = { kubernetes: { kubeconfig: site().kubeconfigPath }, enable_overlapping_ranges: false };
  const undivided: Json = { ...objects.config(name, range, { ...over, ipRanges: [{ range: `${six}/64` }] }), name };
  const env = { NODENAME: node };
  const old = await site().pod();
  expect((await callIpam(site(), "ADD", old, undivided, env)).result).toMatchObject({
    ips: [{ address: `${net}.1/24` }, { address: `${six}1/64` }],
  });
  await objects.makeNodeSlicePool(name, range, "/28", allocations);
  const sliced: Json = { ...undivided, ipam: { ...(undivided["ipam"] as Json), node_slice_size: "/28" } };
  const pods = [await site().pod(), await site().pod()];
  counted();
  expect((await callIpam(site(), "ADD", pods[0]!, sliced, env)).result).toMatchObject({
    ips: [{ address: `${net}.2/24` }, { address: `${six}2/64` }],
  });
  // Two pools of slices, two of ranges.
  expect(counted().calls).toEqual(["get nodeslicepools", ...Array<string>(4).fill("get ippools")]);
  expect((await callIpam(site(), "ADD", pods[1]!, sliced, env)).result).toMatchObject({
    ips: [{ address: `${net}.3/24` }, { address: `${six}3/64` }],
  });
  await follows(`${node}-${net}.0-28`, ["2", "3"]);
  await follows(`${node}-${six.replaceAll(":", "-")}-124`, ["2", "3"]);
  for (const pod of pods) expect(await callIpam(site(), "DEL", pod, sliced, env)).toMatchObject({ exitCode: 0 });
  await follows(`${node}-${six.replaceAll(":", "-")}-124`, []);
  expect(counted().calls).toEqual([]);
  expect(await callIpam(site(), "DEL", old, sliced, env)).toMatchObject({ exitCode: 0 });
  // The entry goes behind the DEL.
  await follows(shared, []);
  expect(await objects.reservations(net)).toEqual([]);
});
