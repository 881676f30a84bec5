// What Go's own reconciler takes from living pods of Go nodes, in steps that are held up until they are in the order that does the harm.
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ApiProxy } from "../kit/api-proxy.ts";
import { type ApiServer, startApiServer } from "../kit/api-server.ts";
import { claimsGroup, trailOf } from "../kit/claim-trail.ts";
import { prepareCluster } from "../kit/cluster.ts";
import { polynicBin } from "../kit/cni-caller.ts";
import { startGoReconciler } from "../kit/go-reconciler.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { addressesOf, IpamSide } from "../kit/ipam-side.ts";
import { eventually, IpamWorld } from "../kit/ipam-world.ts";

const folder = useTemporaryFolder();
const [wide, narrow] = ["10.50.0.0/25", "10.50.0.0/26"] as const;
const widePool = "10.50.0.0-25";
/** Both lists of the reconciler that go over all namespaces are the same step to the proxy: of pools first, then of reservations. */
const listAll = "get apis/v1alpha1";
const address = "10.50.0.1";

let server: ApiServer;
let world: IpamWorld;
let go: IpamSide;
let ours: IpamSide;
let controller: Bun.Subprocess;
let count = 0;
let cleanup: (() => Promise<unknown>)[] = [];

// A server of its own: Go's reconciler deletes in all namespaces what it does not know.
beforeAll(async () => {
  server = await startApiServer(`${folder().path}/server`, { auditedGroups: [claimsGroup] });
  await prepareCluster(server);
  world = await IpamWorld.make(server);
  go = await IpamSide.make("go", world, `${folder().path}/go`);
  ours = await IpamSide.make("ours", world, `${folder().path}/ours`);
  const kubeconfig = folder().write("controller.kubeconfig", await world.kubeconfig("polynic-ipam"));
  controller = Bun.spawn([`${polynicBin}/polynic`, "controller", "ipam", "--kubeconfig", kubeconfig], {
    stdio: ["ignore", "ignore", Bun.file(`${folder().path}/controller.log`)],
    env: { WHEREABOUTS_NAMESPACE: world.namespace },
  });
});
afterEach(async () => {
  for (const step of cleanup.toReversed()) await step();
  cleanup = [];
  await world.clear();
});
afterAll(async () => {
  controller.kill("SIGKILL");
  await controller.exited;
  await server.stop();
});

const logged = () => readFileSync(`${folder().path}/controller.log`, "utf8");

/** A pod of a Go node with an address, which it tells only if so asked. */
async function goPod({ tells = true } = {}): Promise<string> {
  const name = `g${count++}`;
  const podUid = await world.pod(name, { phase: "Pending", node: "go-1" });
  cleanup.push(async () => await world.deletePod(name));
  expect(addressesOf(await go.call("ADD", { range: wide, sandbox: name, podUid }))).toEqual([address]);
  if (tells) await tell(name);
  return name;
}

async function tell(name: string, ...ips: readonly string[]): Promise<void> {
  const status = [{ name: "default/lan", interface: "net1", ips: ips.length === 0 ? [address] : ips, default: false }];
  const metadata = { annotations: { "k8s.v1.cni.cncf.io/network-status": JSON.stringify(status) } };
  await world.admin.send("PATCH", `/api/v1/namespaces/default/pods/${name}`, { metadata });
}

/** What an ADD of ours in the other pool gets; the pod is gone then. */
async function addressOfOurs(): Promise<string[]> {
  const sandbox = `o${count++}`;
  // Each on a node of its own: what one remembers is no part of this.
  const call = { range: narrow, sandbox, node: sandbox };
  const outcome = await ours.call("ADD", call);
  await ours.call("DEL", call);
  return addressesOf(outcome);
}

/** Go's reconciler behind a proxy that holds up its first list of reservations, and no later run if there is to be but one. */
async function reconcilerHeldUp({ isOnlyOnce = false } = {}) {
  const proxy = await ApiProxy.open(server);
  const gate = Promise.withResolvers<undefined>();
  const reached = Promise.withResolvers<undefined>();
  proxy.plan((step, occurrence) => {
    if (step === listAll && occurrence > 2 && isOnlyOnce) return { kind: "hang" };
    if (step !== listAll || occurrence !== 2) return { kind: "pass" };
    reached.resolve(undefined);
    return { kind: "pass", until: gate.promise };
  });
  const own = `${folder().path}/reconciler-${count++}`;
  const child = await startGoReconciler(server, world.namespace, own, "@every 1s", proxy.port);
  cleanup.push(async () => {
    child.kill("SIGKILL");
    await child.exited;
    proxy[Symbol.dispose]();
  });
  const runs = () => readFileSync(`${own}/reconciler.log`, "utf8").split("starting reconciler run").length - 1;
  return { hasListedPools: reached.promise, letGo: () => gate.resolve(undefined), runs };
}

const entries = async () => Object.keys(await world.map(widePool));
/** The controller has seen what is in the pool: it writes how much that is. */
const isSeen = async () =>
  (await world.pools.getPool(widePool))?.annotations["polynic.io/used"]?.startsWith(
    String((await entries()).length),
  ) === true;

async function deleteReservation(): Promise<void> {
  const path = `/apis/${claimsGroup}/v1alpha1/namespaces/${world.namespace}/overlappingrangeipreservations/${address}`;
  await world.admin.send("DELETE", path);
}

async function removeEntry(): Promise<void> {
  await world.pools.patchPool(widePool, [{ op: "remove", key: "1", id: await idOfEntry() }]);
}

const idOfEntry = async () => ((await world.map(widePool))["1"] as { id: string } | undefined)?.id ?? "";

test("a reservation that Go's reconciler deletes since the pod is younger than its list of pools stands again for its pod", async () => {
  const { hasListedPools, letGo } = await reconcilerHeldUp({ isOnlyOnce: true });
  await hasListedPools;
  const pod = await goPod();
  letGo();
  const wanted = ["whereabouts ip-reconciler", "nobody"];
  const trail = async () => trailOf(server, address).filter(({ podref }) => podref === `default/${pod}`);
  expect(await eventually(async () => (await trail()).map(({ removal }) => removal?.by ?? "nobody"), wanted)).toEqual(
    wanted,
  );
  expect(await addressOfOurs()).toEqual(["10.50.0.2"]);
  expect(logged()).toContain(`reservation ${address} was removed while pod default/${pod} lives; put back`);
});

test("what Go's reconciler frees while a pod is slow to tell its addresses is the pod's again", async () => {
  const { letGo, runs } = await reconcilerHeldUp();
  letGo();
  const pod = await goPod({ tells: false });
  const text = `entry 1 of pool ${widePool} was removed while pod default/${pod} lives; put back`;
  expect(await eventually(async () => logged().includes(text), true)).toBe(true);
  await tell(pod);
  const before = runs();
  expect(await eventually(async () => runs() >= before + 3, true)).toBe(true);
  const state = async () => [await idOfEntry(), await world.held()];
  expect(await eventually(state, [pod, [address]])).toEqual([pod, [address]]);
  expect(await addressOfOurs()).toEqual(["10.50.0.2"]);
});

test("what a DEL of Go gives back stays free: the pod is being ended", async () => {
  const pod = await goPod();
  expect(await eventually(isSeen, true)).toBe(true);
  // As a user deletes it: kubelet takes its sandbox down while it is still there.
  await world.admin.send("DELETE", `/api/v1/namespaces/default/pods/${pod}`, { gracePeriodSeconds: 30 });
  await go.call("DEL", { range: wide, sandbox: pod });
  // The controller has been told in this order.
  expect(await eventually(isSeen, true)).toBe(true);
  expect(await addressOfOurs()).toEqual([address]);
  expect([await entries(), await world.held()]).toEqual([[], []]);
  expect(logged()).not.toContain(`pod default/${pod} lives`);
});

test("what was put back for a pod that has ended after all is taken away again", async () => {
  const pod = await goPod();
  expect(await eventually(isSeen, true)).toBe(true);
  await removeEntry();
  await deleteReservation();
  const state = async () => [await idOfEntry(), await world.held()];
  expect(await eventually(state, [pod, [address]])).toEqual([pod, [address]]);
  await world.admin.send("PATCH", `/api/v1/namespaces/default/pods/${pod}/status`, { status: { phase: "Succeeded" } });
  expect(await eventually(state, ["", []])).toEqual(["", []]);
});

test("an address that another pod has got meanwhile is left to it, and the duplicate is told", async () => {
  const pod = await goPod();
  expect(await eventually(isSeen, true)).toBe(true);
  await deleteReservation();
  await eventually(() => world.held(), [address]);
  // Whoever is faster than the controller.
  const path = `/apis/${claimsGroup}/v1alpha1/namespaces/${world.namespace}/overlappingrangeipreservations/${address}`;
  await world.admin.send("PATCH", path, { spec: { podref: "default/other" } });
  await removeEntry();
  const text = `duplicate: entry 1 of pool ${widePool} was taken from pod default/${pod}, and pod default/other has it`;
  expect(await eventually(async () => logged().includes(text), true)).toBe(true);
  expect(await entries()).toEqual([]);
});
