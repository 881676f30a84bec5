// The way back to Go whereabouts from a network of both families whose ranges are divided among nodes: the nodes' own files and objects, none of
// which whereabouts knows, become entries that it gives back and looks after.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { handOver } from "../../src/controller/hand-over.ts";
import { Slicer } from "../../src/controller/slicer.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { type ApiServer, startApiServer } from "../kit/api-server.ts";
import { prepareCluster } from "../kit/cluster.ts";
import { startGoReconciler } from "../kit/go-reconciler.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { addressesOf, IpamSide } from "../kit/ipam-side.ts";
import { connectPools, eventually, IpamWorld } from "../kit/ipam-world.ts";

const folder = useTemporaryFolder();
const network = "given";
const [four, six] = ["10.75.0.0/25", "fd00:75::/64"] as const;
const [fourPool, sixPool] = ["a-10.75.0.0-28", "a-fd00-75---126"] as const;
let server: ApiServer;
let stop: AbortController;
let end: Promise<void>;

// A server of its own: nodes are the whole cluster's, and Go's reconciler deletes in all namespaces what it does not know.
beforeAll(async () => {
  server = await startApiServer(`${folder().path}/server`);
  await prepareCluster(server);
});
afterAll(async () => {
  await server.stop();
});

describe.each([
  { what: "which no reservation tells of", isReserved: false, reservations: [] },
  {
    what: "which reservations hold, and for which there are no pools yet",
    isReserved: true,
    reservations: ["10.75.0.1", "10.75.0.2", "fd00-75--1", "fd00-75--2"],
  },
])("addresses of slices $what", ({ isReserved, reservations }) => {
  let world: IpamWorld;
  const over = {
    ipRanges: [{ range: four }, { range: six, node_slice_size: "/126" }],
    node_slice_size: "28",
    enable_overlapping_ranges: isReserved,
  };
  const ipam = { type: "whereabouts", ...over };
  const definition = {
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: { namespace: "default", name: network },
    spec: { config: JSON.stringify({ cniVersion: "1.0.0", name: network, type: "macvlan", ipam }) },
  };
  const call = (sandbox: string) => ({ range: "", over, network, sandbox, node: "a" }) as const;

  beforeAll(async () => {
    world = await IpamWorld.make(server);
    const { client } = await connectPools(server, "polynic-ipam", world.namespace);
    stop = new AbortController();
    end = new Slicer(client, { namespace: world.namespace, signal: stop.signal, log: silentLogger }).run();
    await world.node("a");
    await world.admin.create(definition);
  });
  afterAll(async () => {
    stop.abort();
    await end;
    await world.admin.delete(definition);
    await world.clear();
  });

  /** "pool key id" of each entry. */
  const entries = async (): Promise<string[]> =>
    (await world.pools.listPools())
      .flatMap(({ name, allocations }) =>
        Object.entries(allocations).map(([key, value]) => `${name} ${key} ${(value as { readonly id: string }).id}`),
      )
      .sort();

  test("are whereabouts' own afterwards, and it gives back, gives out and looks after what is its own", async () => {
    const slices = async () => (await world.pools.getNodeSlicePool(network))?.slices.map(({ nodeName }) => nodeName);
    await eventually(async () => (await slices())?.filter((node) => node === "a").length, 2);
    const ours = await IpamSide.make("ours", world, `${folder().path}/ours-${isReserved}`);
    for (const [index, sandbox] of ["h1", "h2"].entries())
      expect(addressesOf(await ours.call("ADD", call(sandbox)))).toEqual([
        `10.75.0.${index + 1}`,
        `fd00:75::${index + 1}`,
      ]);
    // A process that the ADDs have started writes them; those with a reservation are the controller's, which does not run.
    expect(await eventually(async () => (await entries()).length, isReserved ? 0 : 4)).toBe(isReserved ? 0 : 4);

    const { client, pools } = await connectPools(server, "polynic-ipam", world.namespace);
    expect(await handOver(client, world.namespace, pools)).toEqual({
      pools: 2,
      entries: 4,
      reservations: reservations.length,
      removed: 0,
    });
    const all = [`${fourPool} 1 h1`, `${fourPool} 2 h2`, `${sixPool} 1 h1`, `${sixPool} 2 h2`];
    expect(await entries()).toEqual(all);
    const objects = await pools.listReservations();
    expect(objects.map(({ name }) => name).sort()).toEqual(reservations);
    expect(objects.flatMap(({ finalizers }) => finalizers)).toEqual([]);
    const nothing = { pools: 2, entries: 0, reservations: 0, removed: 0 };
    expect(await handOver(client, world.namespace, pools)).toEqual(nothing);

    // Its plugin takes the first slice under its node's name for every range.
    const go = await IpamSide.make("go", world, `${folder().path}/go-${isReserved}`);
    expect(new Set(addressesOf(await go.call("ADD", call("g1"))))).toEqual(new Set(["10.75.0.3"]));
    expect(await go.call("DEL", call("g1"))).toMatchObject({ exitCode: 0 });
    expect(await go.call("DEL", call("h1"))).toMatchObject({ exitCode: 0 });
    expect(await entries()).toEqual(all.filter((each) => each !== `${fourPool} 1 h1`));
    await reconciled();
    expect(await entries()).toEqual([`${fourPool} 2 h2`, `${sixPool} 2 h2`]);
    expect((await world.held()).sort()).toEqual(isReserved ? ["10.75.0.2", "fd00-75--2"] : []);
  });

  /** Go's reconciler takes away what is left of h1, which is gone, and nothing of h2, which is there. */
  async function reconciled(): Promise<void> {
    const status = [{ name: network, interface: "net1", ips: ["10.75.0.2", "fd00:75::2"], default: false }];
    await world.pod("h2", {
      node: "a",
      annotations: { "k8s.v1.cni.cncf.io/network-status": JSON.stringify(status) },
    });
    const place = `${folder().path}/reconciler-${isReserved}`;
    const reconciler = await startGoReconciler(server, world.namespace, place, "@every 1s");
    try {
      await eventually(async () => (await entries()).some((each) => each.endsWith(" h1")), false);
      await eventually(async () => (await world.held()).length, isReserved ? 2 : 0);
    } finally {
      reconciler.kill("SIGKILL");
      await reconciler.exited;
    }
  }
});
