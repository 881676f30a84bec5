// What whereabouts is known for, and does not happen here: test/unit/known-whereabouts-bugs.test.ts lists it.
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { ApiProxy, type Mischief } from "../kit/api-proxy.ts";
import { inWords } from "../kit/audit-log.ts";
import { eventually } from "../kit/ipam-world.ts";
import { errorOf, type Json, type SitePod } from "../kit/multus-site.ts";
import { callIpam } from "./call-ipam.ts";
import { useApiSite } from "./use-site.ts";
import { aMomentMs, freshRange, WhereaboutsObjects } from "./whereabouts-objects.ts";

const site = useApiSite();
let proxy: ApiProxy;
let objects: WhereaboutsObjects;
const pass: Mischief = { kind: "pass" };
const reservations = "overlappingrangeipreservations";

beforeAll(async () => {
  proxy = await ApiProxy.open(inject("api"));
  objects = new WhereaboutsObjects(site());
  await site().useAccount("polynic", proxy.url);
});
afterAll(() => proxy[Symbol.dispose]());

const config = (range: string, over: Json = {}): Json =>
  objects.config("net", range, { kubernetes: { kubeconfig: site().kubeconfigPath }, ...over });
const addressOf = (result: unknown): string | undefined =>
  (result as { ips?: { address: string }[] }).ips?.[0]?.address.replace(/\/.*/, "");

async function added(conf: Json): Promise<{ readonly pod: SitePod; readonly address: string | undefined }> {
  const pod = await site().pod();
  const outcome = await callIpam(site(), "ADD", pod, conf);
  expect(outcome).toMatchObject({ exitCode: 0 });
  return { pod, address: addressOf(outcome.result) };
}

const deleted = async (pod: SitePod, conf: Json) =>
  expect(await callIpam(site(), "DEL", pod, conf)).toMatchObject({ exitCode: 0 });

test.each([409, 422, 500])(
  "a pod whose entry the pool refuses with %i gets no address that is in no pool, and its DEL succeeds (WHEREABOUTS loop 1, 305, 409, 712, 70, 275)",
  async (status) => {
    const { net, range, pool } = freshRange();
    await objects.makePool(pool, range, {}, "pool");
    const conf = config(range, { enable_overlapping_ranges: false });
    proxy.plan((step) => (step === "patch ippools" ? { kind: "answer", status } : pass));
    const pod = await site().pod();
    expect(await callIpam(site(), "ADD", pod, conf)).toMatchObject({ exitCode: 1 });
    proxy.plan(() => pass);
    await deleted(pod, conf);
    expect(await objects.reservations(net)).toEqual([]);
    expect(await eventually(() => objects.allocations(pool), {})).toEqual({});
  },
);

test("an address is given back when its link is gone, not before (WHEREABOUTS loop 7)", async () => {
  const { net, range } = freshRange();
  await objects.network("late", range);
  proxy.plan(() => pass);
  const pod = await site().pod("late");
  expect(await site().call("ADD", pod)).toMatchObject({ exitCode: 0 });
  expect(pod.netns.run("ip", "-o", "link")).toContain("net1");
  const links: string[] = [];
  proxy.plan((step) => {
    if (step.endsWith(reservations)) links.push(pod.netns.run("ip", "-o", "link"));
    return pass;
  });
  expect(await site().call("DEL", pod)).toMatchObject({ exitCode: 0 });
  expect(links.length).toBeGreaterThan(0);
  for (const each of links) expect(each).not.toContain("net1");
  expect(await objects.reservations(net)).toEqual([]);
});

test("40 addresses that overlapping ranges hold ahead of the first free one cost a few requests (WHEREABOUTS cliff)", async () => {
  const { net, range } = freshRange();
  const held = Array.from({ length: 40 }, (_, index) => `${net}.${index + 1}`);
  await Promise.all(held.map((name) => objects.makeReservation(name, "default/foreign")));
  const conf = config(range);
  site().audit.take("kube-system");
  const { pod, address } = await added(conf);
  expect(held).not.toContain(address);
  const creations = site()
    .audit.take("kube-system")
    .map(inWords)
    .filter((what) => what === `create ${reservations}`);
  expect(creations.length).toBeLessThan(8);
  await deleted(pod, conf);
  for (const name of held) await objects.deleteReservation(name);
});

test("a pool of 7,000 entries serves an ADD at the cost of one read and one creation", async () => {
  const net = freshRange().net.split(".").slice(0, 2).join(".");
  const range = `${net}.224.0/19`;
  const entries = Array.from({ length: 7000 }, (_, index) => [
    String(index + 1),
    { id: "f".repeat(64), podref: `default/go-${index}`, ifname: "net1" },
  ]);
  await objects.makePool(`${net}.224.0-19`, range, Object.fromEntries(entries) as Record<string, Json>, "network");
  const conf = config(range);
  const first = await added(conf);
  site().audit.take("kube-system");
  await Bun.sleep(aMomentMs);
  const second = await added(conf);
  expect([first.address, second.address]).toEqual([`${net}.251.89`, `${net}.251.90`]);
  const requests = site().audit.take("kube-system").map(inWords);
  expect(requests).toEqual(["get ippools", `create ${reservations}`]);
  for (const { pod } of [first, second]) await deleted(pod, conf);
});

test("the last address whose key Go can read is given out, and none behind it (WHEREABOUTS 403)", async () => {
  const conf = config("fd00:403::/64", { range_start: "fd00:403::7fff:ffff:ffff:fffe" });
  const held = [await added(conf), await added(conf)];
  expect(held.map(({ address }) => address)).toEqual([
    "fd00:403::7fff:ffff:ffff:fffe",
    "fd00:403::7fff:ffff:ffff:ffff",
  ]);
  const late = await site().pod();
  expect(errorOf(await callIpam(site(), "ADD", late, conf))).toMatchObject({ code: 50 });
  for (const { pod } of held) await deleted(pod, conf);
});

test("a Lease that a dead process holds is waited for, and then taken (WHEREABOUTS 303)", async () => {
  const { range } = freshRange();
  const path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
  await site().admin.send("DELETE", `${path}/whereabouts`, {}, [404]);
  const now = new Date().toISOString().replace("Z", "000Z");
  const spec = { holderIdentity: "default/dead", leaseDurationSeconds: 1, acquireTime: now, renewTime: now };
  const apiVersion = "coordination.k8s.io/v1";
  const metadata = { name: "whereabouts", namespace: "kube-system" };
  await site().admin.send("POST", path, { apiVersion, kind: "Lease", metadata, spec });
  const conf = config(range, { coexist_lock: "lease" });
  const { pod } = await added(conf);
  await deleted(pod, conf);
});

test("a definition that is not installed is told with its cure, and the DEL that follows succeeds (WHEREABOUTS 507, network-operator 1685)", async () => {
  const { net, range } = freshRange();
  const conf = config(range);
  proxy.plan((step) => (step === `create ${reservations}` ? { kind: "answer", status: 404 } : pass));
  const pod = await site().pod();
  expect(errorOf(await callIpam(site(), "ADD", pod, conf))).toMatchObject({
    msg: expect.stringContaining(`the API server knows no ${reservations}.whereabouts.cni.cncf.io (404)`) as string,
    details: expect.stringContaining("kubectl apply -f deploy/crds/") as string,
  });
  proxy.plan(() => pass);
  await deleted(pod, conf);
  expect(await objects.reservations(net)).toEqual([]);
});
