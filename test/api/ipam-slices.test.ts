// Ranges that are divided among nodes, by our controller; Go whereabouts gives out addresses of the slices that it assigns.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Slicer } from "../../src/controller/slicer.ts";
import { loggerTo } from "../../src/log/logger.ts";
import { type ApiServer, startApiServer } from "../kit/api-server.ts";
import { prepareCluster } from "../kit/cluster.ts";
import { endDaemons, startDaemon } from "../kit/daemon.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import type { CniOutcome } from "../kit/cni-caller.ts";
import { addressesOf, IpamSide } from "../kit/ipam-side.ts";
import { connectPools, eventually, IpamWorld } from "../kit/ipam-world.ts";
import { peerTools } from "../kit/peer-tools.ts";

const folder = useTemporaryFolder();
let server: ApiServer;
let world: IpamWorld;
let stop: AbortController;
let end: Promise<void>;
const lines: string[] = [];

// A server of its own: nodes are the whole cluster's.
beforeAll(async () => {
  server = await startApiServer(`${folder().path}/server`);
  await prepareCluster(server);
  world = await IpamWorld.make(server);
  await startSlicer();
});
afterAll(async () => {
  stop.abort();
  await end;
  await server.stop();
});

async function startSlicer(): Promise<void> {
  const { client } = await connectPools(server, "polynic-ipam", world.namespace);
  stop = new AbortController();
  const log = loggerTo("verbose", ({ message }) => lines.push(message));
  end = new Slicer(client, { namespace: world.namespace, signal: stop.signal, log }).run();
}

const nad = (name: string, ipam: object, plugins?: string) => ({
  apiVersion: "k8s.cni.cncf.io/v1",
  kind: "NetworkAttachmentDefinition",
  metadata: { namespace: "default", name },
  spec: {
    config:
      plugins ?? JSON.stringify({ cniVersion: "1.0.0", name, type: "macvlan", ipam: { type: "whereabouts", ...ipam } }),
  },
});

/** "node range" for each slice that a node has. */
async function assigned(name: string): Promise<string[]> {
  const pool = await world.pools.getNodeSlicePool(name);
  return (pool?.slices ?? []).flatMap(({ nodeName, sliceRange }) =>
    nodeName === "" ? [] : `${nodeName} ${sliceRange}`,
  );
}

test("nodes get slices when they come, Go allocates from them, and keeps them while addresses are held (WHEREABOUTS 504)", async () => {
  await world.node("a");
  await world.node("b");
  await world.admin.create(nad("sliced", { range: "10.70.0.0/24", node_slice_size: "/26", exclude: ["10.70.0.0/26"] }));
  const both = ["a 10.70.0.64/26", "b 10.70.0.128/26"];
  expect(await eventually(() => assigned("sliced"), both)).toEqual(both);
  const go = await IpamSide.make("go", world, `${folder().path}/go`);
  const call = { range: "10.70.0.0/24", over: { node_slice_size: "/26" }, node: "b", sandbox: "s1" };
  const outcome = await go.call("ADD", { ...call, network: "sliced" });
  expect(addressesOf(outcome)).toEqual(["10.70.0.129"]);
  await world.deleteNode("b");
  await world.node("c");
  const kept = [...both, "c 10.70.0.192/26"];
  expect(await eventually(() => assigned("sliced"), kept)).toEqual(kept);
  // The machine comes back as another one: its predecessor's address is still held.
  await world.node("b");
  const again = async () => (await assigned("sliced")).map((each) => each.replace(/~\S+/, "~"));
  const apart = ["a 10.70.0.64/26", "b~ 10.70.0.128/26", "c 10.70.0.192/26"];
  expect(await eventually(again, apart)).toEqual(apart);
  expect(lines).toContain("default/sliced: no slice of 10.70.0.0/24 is left for node b");
  await go.call("DEL", { ...call, network: "sliced" });
  expect(await world.pools.getNodeSlicePool("sliced")).toMatchObject({ range: "10.70.0.0/24", sliceSize: "/26" });
});

test("a conflist without a name, IPv6, another one's definition that can't be read: none stops the others (WHEREABOUTS 518)", async () => {
  await world.admin.create(nad("broken", {}, '{"cniVersion": "1.0.0", "node_slice_size": '));
  await world.admin.create(nad("other", {}, JSON.stringify({ cniVersion: "1.0.0", name: "x", type: "bridge" })));
  const ipam = { type: "whereabouts", range: "fd00:70::/62", node_slice_size: "64" };
  await world.admin.create(
    nad("six", {}, JSON.stringify({ cniVersion: "0.3.1", plugins: [{ type: "ipvlan", ipam }] })),
  );
  const slices = async () => (await assigned("six")).map((each) => each.replace(/^\S+ /, ""));
  const first = async () => (await slices())[0];
  expect(await eventually(first, "fd00:70::/64")).toBe("fd00:70::/64");
  expect(lines.filter((line) => line.startsWith("default/broken: "))).toHaveLength(1);
});

test("a range that is changed leaves held slices where they are", async () => {
  const definition = nad("moved", { range: "10.71.0.0/24", node_slice_size: "/26" });
  await world.admin.create(definition);
  await eventually(async () => (await assigned("moved")).length > 0, true);
  await world.goPool("10.71.0.0/26", { "1": "default/x" });
  const pool = "a-10.71.0.0-26";
  await world.pools.createPool(pool, "10.71.0.0/26");
  await world.pools.patchPool(pool, [{ op: "add", key: "1", entry: { id: "x", podref: "default/x", ifname: "net1" } }]);
  const { config } = nad("moved", { range: "10.72.0.0/24", node_slice_size: "/26" }).spec;
  const path = "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions/moved";
  await world.admin.send("PATCH", path, { spec: { config } });
  const wanted = ["a 10.72.0.0/26", "a 10.71.0.0/26"];
  const ofA = async () => (await assigned("moved")).filter((each) => each.startsWith("a "));
  expect(await eventually(ofA, wanted)).toEqual(wanted);
});

/** A network of both families in which a slice has 14 addresses of IPv4 and 2 of IPv6. */
const dual = {
  ipRanges: [{ range: "10.73.0.0/25" }, { range: "fd00:73::/64", node_slice_size: "/126" }],
  node_slice_size: "28",
  enable_overlapping_ranges: false,
};

test("dual stack: each node gets a slice of each range, another one of the range that is full, and Go sees the first range as ever", async () => {
  await world.admin.create(nad("dual", dual));
  const mine = (node: string) => async () => (await assigned("dual")).filter((each) => each.startsWith(`${node} `));
  const inFour = async (node: string) => (await mine(node)()).filter((each) => each.includes("10.73."));
  await eventually(async () => (await mine("a")()).length, 2);
  const [four, six] = await mine("a")();
  expect([four, six]).toEqual(["a 10.73.0.0/28", "a fd00:73::/126"]);
  expect(await mine("c")()).toHaveLength(2);
  const ours = await IpamSide.make("ours", world, `${folder().path}/ours`);
  const call = (sandbox: string, node: string) => ({ range: "", over: dual, network: "dual", sandbox, node }) as const;
  const add = async (sandbox: string, node: string): Promise<CniOutcome> => await ours.call("ADD", call(sandbox, node));
  expect(addressesOf(await add("d1", "a"))).toEqual(["10.73.0.1", "fd00:73::1"]);
  const onC = addressesOf(await add("d2", "c"));
  expect(onC).toHaveLength(2);
  expect(onC[0]).not.toMatch(/^10\.73\.0\.([0-9]|1[0-5])$/);
  expect(addressesOf(await add("d3", "a"))).toEqual(["10.73.0.2", "fd00:73::2"]);
  // Its slice of IPv6 is full now, the one of IPv4 is not.
  await eventually(async () => (await mine("a")()).length, 3);
  expect(await inFour("a")).toEqual([four]);
  const third = addressesOf(await add("d4", "a"));
  expect(third[0]).toBe("10.73.0.3");
  expect(third[1]).toMatch(/^fd00:73::[0-9a-f]*[1-9a-f]$/);

  // A node goes back to Go when nothing of ours runs there any more, and its pools show what is held.
  const keys = async () => Object.keys((await world.pools.getPool("a-10.73.0.0-28"))?.allocations ?? {});
  expect(await eventually(keys, ["1", "2", "3"])).toEqual(["1", "2", "3"]);
  // Go's plugin takes the first slice under its node's name.
  const go = await IpamSide.make("go", world, `${folder().path}/go-dual`);
  const first = { range: "10.73.0.0/25", over: { node_slice_size: "28", enable_overlapping_ranges: false } };
  expect(addressesOf(await go.call("ADD", { ...first, network: "dual", sandbox: "g1", node: "a" }))).toEqual([
    "10.73.0.4",
  ]);
  // Ours adopts what Go has entered there, once it has asked again.
  rmSync(`${folder().path}/ours/a/slices/dual/.slices`);
  expect(addressesOf(await add("d5", "a"))[0]).toBe("10.73.0.5");

  // The node is gone while its addresses are held: nobody gets its slices of either range.
  const before = await mine("c")();
  await world.deleteNode("c");
  await world.node("e");
  await eventually(async () => (await mine("e")()).length, 2);
  expect(await mine("c")()).toEqual(before);
  const others = (await assigned("dual")).filter((each) => !each.startsWith("c "));
  const ofC = new Set(before.map((each) => each.replace("c ", "")));
  expect(others.filter((each) => ofC.has(each.replace(/^\S+ /, "")))).toEqual([]);
  // It comes back as another machine, and gets slices of its own.
  await world.node("c");
  const former = async () => (await assigned("dual")).filter((each) => each.startsWith("c~")).length;
  expect(await eventually(former, 2)).toBe(2);
  expect(await mine("c")()).toHaveLength(2);
  expect((await mine("c")()).filter((each) => before.includes(each))).toEqual([]);

  for (const [sandbox, node] of [
    ["d1", "a"],
    ["d2", "c"],
    ["d3", "a"],
    ["d4", "a"],
    ["d5", "a"],
  ] as const)
    expect(await ours.call("DEL", call(sandbox, node))).toMatchObject({ exitCode: 0 });
  const entries = async () => {
    const pools = (await world.pools.listPools()).filter(
      ({ range }) => range.startsWith("10.73.") || range.startsWith("fd00:73:"),
    );
    return pools.flatMap(({ name, allocations }) => Object.keys(allocations).map((key) => `${name} ${key}`));
  };
  expect(await eventually(entries, ["a-10.73.0.0-28 4"])).toEqual(["a-10.73.0.0-28 4"]);
});

test("Go's controller finds nothing to change in what ours has divided, gives new nodes what is free of the first range, and gives it back to ours", async () => {
  const go = await IpamSide.make("go", world, `${folder().path}/go-back`);
  const range = "10.74.0.0/25";
  const over = {
    node_slice_size: "28",
    network_name: "back",
    enable_overlapping_ranges: false,
    // Go's controller too wants a flat file.
    configuration_path: `${go.folder}/whereabouts.conf`,
  };
  await world.admin.create(nad("back", { ...over, range, ipRanges: [{ range: "fd00:74::/64" }] }));
  const of = (node: string) => async () => (await assigned("back")).filter((each) => each.startsWith(`${node} `));
  expect(await eventually(async () => (await of("a")()).length, 2)).toBe(2);
  stop.abort();
  await end;
  const before = await assigned("back");
  const controller = startDaemon({
    folder: go.folder,
    name: "nodeslicecontroller",
    command: [join(peerTools("whereabouts").bin, "nodeslicecontroller"), "-kubeconfig", go.kubeconfig],
    env: { WHEREABOUTS_NAMESPACE: world.namespace },
  });
  try {
    await world.node("f");
    expect(await eventually(async () => (await of("f")()).length, 1)).toBe(1);
    const [slice = ""] = await of("f")();
    expect(slice).toMatch(/^f 10\.74\.0\.\d+\/28$/);
    expect((await assigned("back")).filter((each) => each !== slice)).toEqual(before);
    const first = slice.replace(/^f (.*)\.\d+\/28$/, "$1");
    const outcome = await go.call("ADD", { range, over, network: "back", sandbox: "f1", node: "f" });
    expect(addressesOf(outcome)).toEqual([expect.stringMatching(`^${first}\\.`)]);
  } finally {
    await endDaemons([controller]);
    await startSlicer();
  }
  expect(await eventually(async () => (await of("f")()).length, 2)).toBe(2);
  const six = (await of("f")()).filter((each) => each.startsWith("f fd00:74::"));
  expect((await assigned("back")).filter((each) => !each.startsWith("f "))).toEqual(before);
  expect(six).toHaveLength(1);
});
