// type: whereabouts on a real API server, under the dispatcher: what a claim is, what it costs, and whose claims it respects.
import { beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../kit/ipam-world.ts";
import { errorOf, type SitePod } from "../kit/multus-site.ts";
import { callIpam } from "./call-ipam.ts";
import { useApiSite } from "./use-site.ts";
import { aMomentMs, freshRange, WhereaboutsObjects } from "./whereabouts-objects.ts";

const site = useApiSite();
let objects: WhereaboutsObjects;

beforeAll(() => {
  objects = new WhereaboutsObjects(site());
});

async function added(networks: string, more: Readonly<Record<string, string>> = {}): Promise<SitePod> {
  const pod = await site().pod(networks, more);
  expect(await site().call("ADD", pod)).toMatchObject({ exitCode: 0 });
  return pod;
}

const deleted = async (pod: SitePod) => expect(await site().call("DEL", pod)).toMatchObject({ exitCode: 0 });

test("a claim is an object named after its address, and says whose it is", async () => {
  const { net, range, pool } = freshRange();
  await objects.network("claim", range);
  const pod = await added("claim");
  expect(await objects.addresses(pod)).toEqual([`${net}.1`]);
  expect(await objects.reservation(`${net}.1`)).toMatchObject({
    metadata: {
      labels: { "app.kubernetes.io/managed-by": "polynic" },
      annotations: { "polynic.io/pool": pool, "polynic.io/range": range, "polynic.io/pod-uid": pod.uid },
      finalizers: ["ipam.polynic.io/hold"],
    },
    spec: { podref: `${pod.namespace}/${pod.name}`, containerid: pod.containerId, ifname: "net1" },
  });
  expect(await objects.pool(pool)).toMatchObject({ spec: { range, allocations: {} } });
  await deleted(pod);
  expect(await objects.reservation(`${net}.1`)).toBeUndefined();
});

describe("the cost", () => {
  test("of an ADD is one read and one creation for each range, of a DEL no read", async () => {
    const [first, second] = [freshRange(), freshRange()];
    await objects.network("cost", first.range, { ipRanges: [{ range: second.range }] });
    await deleted(await added("cost"));
    await Bun.sleep(aMomentMs);
    objects.requests();
    const pod = await added("cost");
    expect(objects.requests()).toEqual({ "get ippools": 2, "create overlappingrangeipreservations": 2 });
    await deleted(pod);
    expect(objects.requests()).toEqual({
      "patch overlappingrangeipreservations": 2,
      "delete overlappingrangeipreservations": 2,
    });
    for (let time = 0; time < 2; time++) await deleted(pod);
    expect(objects.requests()).toEqual({});
  });

  test("without Go nodes is one creation and one deletion, when this node has just read the pool", async () => {
    const { range } = freshRange();
    await objects.network("cheap", range, { coexist: false });
    const first = await added("cheap");
    objects.requests();
    const pod = await added("cheap");
    expect(objects.requests()).toEqual({ "create overlappingrangeipreservations": 1 });
    await deleted(pod);
    expect(objects.requests()).toEqual({ "delete overlappingrangeipreservations": 1 });
    await deleted(first);
  });

  test("of an ADD that finds nothing to claim is given back whole: the second range is full", async () => {
    const [first, second] = [freshRange(), freshRange(30)];
    await objects.network("full", second.range);
    const holders = [await added("full"), await added("full")];
    await objects.network("both", first.range, { ipRanges: [{ range: second.range }] });
    const pod = await site().pod("both");
    expect(errorOf(await site().call("ADD", pod))).toMatchObject({ code: 50 });
    expect(await objects.reservations(first.net)).toEqual([]);
    await deleted(pod);
    for (const each of holders) await deleted(each);
    expect(await objects.reservations(second.net)).toEqual([]);
  });
});

test("a pool of 14 serves exactly 14 of 20 pods that start at once, and one more when one has gone", async () => {
  const { net, range } = freshRange(28);
  await objects.network("exact", range);
  const pods = await Promise.all(Array.from({ length: 20 }, () => site().pod("exact")));
  const outcomes = await Promise.all(pods.map((pod) => site().call("ADD", pod)));
  const served = pods.filter((_, index) => outcomes[index]?.exitCode === 0);
  const addresses = (await Promise.all(served.map((pod) => objects.addresses(pod)))).flat();
  expect(new Set(addresses)).toEqual(new Set(Array.from({ length: 14 }, (_, index) => `${net}.${index + 1}`)));
  expect(addresses).toHaveLength(14);
  const refused = outcomes.find(({ exitCode }) => exitCode !== 0)!;
  expect(errorOf(refused)).toMatchObject({ code: 50, msg: expect.stringContaining("Could not allocate IP in range") });
  await deleted(served[3]!);
  const late = await added("exact");
  expect(addresses).toContain((await objects.addresses(late))[0]);
  for (const pod of [...pods, late]) await deleted(pod);
  expect(await objects.reservations(net)).toEqual([]);
});

test("DEL gives back what the NAD of the ADD said, also when the NAD was edited or deleted", async () => {
  const [first, second] = [freshRange(), freshRange()];
  await objects.network("edited", first.range);
  const pods = [await added("edited"), await added("edited")];
  const { admin } = site();
  await admin.delete(site().networkObject("edited", ""));
  await deleted(pods[0]!);
  await objects.network("edited", second.range, { coexist: false });
  await deleted(pods[1]!);
  expect(await objects.reservations(first.net)).toEqual([]);
});

test("an ADD that is repeated for the same sandbox gives the same address", async () => {
  const { net, range } = freshRange();
  const conf = objects.config("again", range, { kubernetes: { kubeconfig: site().kubeconfigPath } });
  const pod = await site().pod();
  const first = await callIpam(site(), "ADD", pod, conf);
  expect(first).toMatchObject({ exitCode: 0, result: { ips: [{ address: `${net}.1/24` }] } });
  expect(await callIpam(site(), "ADD", pod, conf)).toMatchObject({ result: first.result });
  expect(await callIpam(site(), "CHECK", pod, { ...conf, prevResult: first.result })).toMatchObject({ exitCode: 0 });
  expect(await objects.reservations(net)).toEqual([`${net}.1`]);
  expect(await callIpam(site(), "DEL", pod, conf)).toMatchObject({ exitCode: 0 });
  expect(await callIpam(site(), "CHECK", pod, { ...conf, prevResult: first.result })).toMatchObject({ exitCode: 1 });
});

describe("beside Go whereabouts", () => {
  const entry = (id: string) => ({ id, podref: "default/go", ifname: "net1" });

  test("what it has entered into the pool is taken, with and without a reservation", async () => {
    const { net, range, pool } = freshRange();
    await objects.makePool(pool, range, { "1": entry("a"), "2": entry("b") });
    await objects.makeReservation(`${net}.1`, "default/go");
    await objects.makeReservation(`${net}.3`, "default/go");
    await objects.network("go", range);
    const pod = await added("go");
    expect(await objects.addresses(pod)).toEqual([`${net}.4`]);
    await deleted(pod);
    expect(await objects.reservations(net)).toEqual([`${net}.1`, `${net}.3`]);
    expect(Object.keys(await objects.allocations(pool))).toEqual(["1", "2"]);
  });

  test("its deletions by name don't free an address of ours", async () => {
    const { net, range } = freshRange();
    await objects.network("blind", range);
    const pod = await added("blind");
    await objects.deleteReservation(`${net}.1`);
    expect(await objects.reservation(`${net}.1`)).toMatchObject({
      metadata: { deletionTimestamp: expect.any(String) },
    });
    const next = await added("blind");
    expect(await objects.addresses(next)).toEqual([`${net}.2`]);
    await deleted(pod);
    expect(await objects.reservations(net)).toEqual([`${net}.2`]);
    await deleted(next);
  });

  test("a pod that it attached is deleted by us, entry and reservation", async () => {
    const { net, range, pool } = freshRange();
    const pod = await site().pod();
    const podref = `${pod.namespace}/${pod.name}`;
    await objects.makePool(pool, range, { "5": { id: pod.containerId, podref, ifname: "net1" }, "6": entry("other") });
    await objects.makeReservation(`${net}.5`, podref);
    await objects.makeReservation(`${net}.6`, "default/go");
    const conf = objects.config("legacy", range, { kubernetes: { kubeconfig: site().kubeconfigPath } });
    expect(await callIpam(site(), "DEL", pod, conf)).toMatchObject({ exitCode: 0, stdout: "" });
    expect(Object.keys(await objects.allocations(pool))).toEqual(["6"]);
    expect(await objects.reservations(net)).toEqual([`${net}.6`]);
  });

  test("without a check for overlaps the key is in the pool before the ADD returns, and its own is respected", async () => {
    const { net, range, pool } = freshRange();
    await objects.makePool(pool, range, { "1": entry("a") });
    await objects.network("keys", range, { enable_overlapping_ranges: false });
    const pod = await added("keys");
    expect(await objects.addresses(pod)).toEqual([`${net}.2`]);
    expect((await objects.allocations(pool))["2"]).toEqual({
      id: expect.stringMatching(new RegExp(`^polynic:${pod.containerId}:.{8}$`)) as string,
      podref: `${pod.namespace}/${pod.name}`,
      ifname: "net1",
    });
    // Nobody has checked for overlaps in the pool that Go made, so it is claimed by one name.
    expect(await objects.reservations(net)).toEqual([`${pool}.${net}.2`]);
    await deleted(pod);
    expect(await objects.reservations(net)).toEqual([]);
    expect(await eventually(async () => Object.keys(await objects.allocations(pool)), ["1"])).toEqual(["1"]);
  });
});

test("networks that do and don't check for overlaps share a pool without sharing an address", async () => {
  const { net, range, pool } = freshRange();
  for (const coexist of [true, false]) {
    await objects.network(`on-${coexist}`, range, { coexist });
    await objects.network(`off-${coexist}`, range, { coexist, enable_overlapping_ranges: false });
  }
  const pods: SitePod[] = [];
  for (const name of ["off-false", "on-false", "off-true", "on-true", "off-false"]) pods.push(await added(name));
  const addresses = (await Promise.all(pods.map((pod) => objects.addresses(pod)))).flat();
  expect(new Set(addresses).size).toBe(5);
  expect(await objects.pool(pool)).toMatchObject({ metadata: { annotations: { "polynic.io/claims": "pool" } } });
  for (const pod of pods) await deleted(pod);
  expect(await objects.reservations(net)).toEqual([]);
});

test("overlapping ranges share no address when overlaps are checked, and do when they are not", async () => {
  const { net } = freshRange();
  const taken: string[][] = [];
  for (const [name, over] of [
    ["checked", {}],
    ["unchecked", { enable_overlapping_ranges: false, network_name: "other" }],
  ] as const) {
    await objects.network(`${name}-wide`, `${net}.0/24`, over);
    await objects.network(`${name}-narrow`, `${net}.0/25`, over);
    const pods = [await added(`${name}-wide`), await added(`${name}-narrow`)];
    taken.push((await Promise.all(pods.map((pod) => objects.addresses(pod)))).flat());
    for (const pod of pods) await deleted(pod);
  }
  expect(taken).toEqual([
    [`${net}.1`, `${net}.2`],
    [`${net}.1`, `${net}.1`],
  ]);
});

test("a pool whose range has host bits is refused", async () => {
  const { net, range, pool } = freshRange();
  await objects.makePool(pool, `${net}.5/24`);
  await objects.network("bits", range);
  const pod = await site().pod("bits");
  expect(errorOf(await site().call("ADD", pod))).toMatchObject({
    code: 7,
    msg: expect.stringContaining("host bits") as string,
  });
  await deleted(pod);
});

test("the address that the pod's annotation prefers is given, and another one when somebody has it (WHEREABOUTS 621, 168, 500)", async () => {
  const { net, range } = freshRange();
  await objects.network("preferred", range);
  const annotations = { "whereabouts.cni.cncf.io/preferred-ip": `${net}.77` };
  const pods = [await added("preferred", annotations), await added("preferred", annotations)];
  expect(await Promise.all(pods.map((pod) => objects.addresses(pod)))).toEqual([[`${net}.77`], [`${net}.1`]]);
  for (const pod of pods) await deleted(pod);
});

test("an address that was given back is kept from others for release_delay_seconds, unless nothing else is left (WHEREABOUTS 288)", async () => {
  const { net, range } = freshRange(30);
  await objects.network("slow", range, { release_delay_seconds: 3600 });
  const first = await added("slow");
  await deleted(first);
  const second = await added("slow");
  expect(await objects.addresses(second)).toEqual([`${net}.2`]);
  const third = await site().pod("slow");
  expect(errorOf(await site().call("ADD", third))).toMatchObject({ code: 50 });
  await deleted(second);
  await deleted(third);
  expect(await objects.reservations(net)).toHaveLength(2);
});

test("with coexist_lock each claim is made under whereabouts' own Lease, which is given back", async () => {
  const { net, range } = freshRange();
  await objects.network("leased", range, { coexist_lock: "lease" });
  const pods = await Promise.all([site().pod("leased"), site().pod("leased"), site().pod("leased")]);
  objects.requests();
  for (const outcome of await Promise.all(pods.map((pod) => site().call("ADD", pod))))
    expect(outcome).toMatchObject({ exitCode: 0 });
  const requests = objects.requests();
  expect(requests["update leases"]).toBeGreaterThan(2);
  expect(requests["create overlappingrangeipreservations"]).toBe(3);
  const lease = await site().admin.send(
    "GET",
    "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/whereabouts",
  );
  expect(lease["spec"]).not.toMatchObject({ holderIdentity: expect.stringContaining("pod") as string });
  for (const pod of pods) await deleted(pod);
  expect(await objects.reservations(net)).toEqual([]);
});
