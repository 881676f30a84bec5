// Ranges that are divided among nodes, by our controller; Go whereabouts gives out addresses of the slices that it assigns.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Slicer } from "../../src/controller/slicer.ts";
import { loggerTo } from "../../src/log/logger.ts";
import { type ApiServer, startApiServer } from "../kit/api-server.ts";
import { prepareCluster } from "../kit/cluster.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { addressesOf, IpamSide } from "../kit/ipam-side.ts";
import { connectPools, eventually, IpamWorld } from "../kit/ipam-world.ts";

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
  const { client } = await connectPools(server, "polynic-ipam", world.namespace);
  stop = new AbortController();
  const log = loggerTo("verbose", ({ message }) => lines.push(message));
  end = new Slicer(client, { namespace: world.namespace, signal: stop.signal, log }).run();
});
afterAll(async () => {
  stop.abort();
  await end;
  await server.stop();
});

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

test("nodes get slices when they come, Go allocates from them, and keeps them while addresses are held", async () => {
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

test("a conflist without a name, IPv6, another one's definition that can't be read: none stops the others", async () => {
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
