// What every adapter of the cluster port has to do. A test file calls `clusterContract` with its adapter's factory.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Cluster, NetworkAttachmentDefinition, Pod, PodEvent } from "../../src/cluster/port.ts";

/** The objects that the adapter under test has to find: the factory puts them where the adapter looks. */
export interface ClusterWorld {
  readonly pods: readonly WorldPod[];
  readonly networks: readonly NetworkAttachmentDefinition[];
}

export interface WorldPod {
  readonly namespace: string;
  readonly name: string;
  /** Left out: whatever the store gives it. */
  readonly uid?: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly nodeName?: string;
  readonly hostNetwork?: boolean;
}

/** An event as the store has it, with how often it was seen. */
export interface StoredEvent extends PodEvent {
  readonly count: number;
}

export interface ClusterFixture {
  /** The adapter can tell which networks there are; otherwise its hint says how to find out. */
  readonly mayList: boolean;
  /** The same event again adds to the count of the first; otherwise it only must not become another one. */
  readonly countsEvents: boolean;
  /** A fresh adapter, as a new process would make it. */
  connect(): Cluster;
  /** Deletes a pod from the store and makes another of the same name with another uid. */
  replacePod(namespace: string, name: string): Promise<void>;
  deletePod(namespace: string, name: string): Promise<void>;
  events(pod: Pod): Promise<readonly StoredEvent[]>;
  dispose(): Promise<void>;
}

const statusKey = "k8s.v1.cni.cncf.io/network-status";
const networksKey = "k8s.v1.cni.cncf.io/networks";
const status = `[{\n    "name": "default/web-net",\n    "interface": "net1",\n    "dns": {}\n}]`;

const world: ClusterWorld = {
  pods: [
    {
      namespace: "default",
      name: "web",
      annotations: { [networksKey]: '[{"name": "web-net", "ips": ["10.1.2.3/24"]}]', "example.com/empty": "" },
      nodeName: "node-1",
    },
    { namespace: "shop", name: "web", annotations: {} },
    { namespace: "shop", name: "agent", annotations: {}, hostNetwork: true },
    { namespace: "default", name: "web-2", annotations: { "kubernetes.io/config.source": "file" } },
    { namespace: "default", name: "web-3", annotations: { "kubernetes.io/config.source": "api" } },
  ],
  networks: [
    {
      namespace: "default",
      name: "web-net",
      config: '{ "cniVersion": "1.0.0",\n  "type": "macvlan" }',
      annotations: { "k8s.v1.cni.cncf.io/resourceName": "example.com/nic" },
    },
    { namespace: "default", name: "on-disk", config: "", annotations: {} },
    { namespace: "shop", name: "cash-net", config: "{}", annotations: {} },
  ],
};

/** Registers the contract as tests; `make` puts the world in place and may take its time (a real API server). */
export function clusterContract(adapter: string, make: (world: ClusterWorld) => Promise<ClusterFixture>): void {
  let fixture: ClusterFixture;
  let cluster: Cluster;
  const web = async (): Promise<Pod> => {
    const pod = await fixture.connect().getPod("default", "web");
    if (pod === undefined) throw new Error("the fixture has no pod default/web");
    return pod;
  };

  describe(`${adapter} keeps the contract of the cluster port`, () => {
    beforeEach(async () => {
      fixture = await make(world);
      cluster = fixture.connect();
    });
    afterEach(async () => {
      await fixture.dispose();
    });

    describe("pods", () => {
      test("a pod comes with its annotations byte for byte, its node and a uid", async () => {
        const pod = await web();
        expect(pod).toMatchObject({ namespace: "default", name: "web", nodeName: "node-1", isStatic: false });
        expect(pod.annotations).toEqual(world.pods[0]?.annotations);
        expect(pod.uid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      });
      test("a uid stays the same from call to call and differs between pods", async () => {
        const uids = await Promise.all([
          cluster.getPod("default", "web"),
          fixture.connect().getPod("default", "web"),
          cluster.getPod("shop", "web"),
        ]);
        expect(uids[0]?.uid).toBe(uids[1]?.uid);
        expect(uids[0]?.uid).not.toBe(uids[2]?.uid);
      });
      test("a pod without annotations has none, and one without a node has no node", async () => {
        const pod = await cluster.getPod("shop", "web");
        expect(pod?.annotations).toEqual({});
        expect(pod).not.toHaveProperty("nodeName");
      });
      test("a pod on the node's own network is told from others", async () => {
        expect((await cluster.getPod("shop", "agent"))?.usesHostNetwork).toBe(true);
        expect(await cluster.getPod("shop", "web")).not.toHaveProperty("usesHostNetwork");
      });
      test.each([
        ["default", "web-2", true],
        ["default", "web-3", false],
      ])("pod %s/%s is static: %s", async (namespace, name, isStatic) => {
        expect((await cluster.getPod(namespace, name))?.isStatic).toBe(isStatic);
      });
      test.each([
        ["default", "we"],
        ["default", "cash-net"],
        ["nowhere", "web"],
        ["default", ""],
        ["", "web"],
        ["..", "web"],
        ["default", "../web"],
      ])("pod %j/%j does not exist", async (namespace, name) => {
        expect(await cluster.getPod(namespace, name)).toBeUndefined();
      });
    });

    describe("networks", () => {
      test.each(world.networks.map((network) => [`${network.namespace}/${network.name}`, network] as const))(
        "network %s comes with its config byte for byte",
        async (_, network) => {
          expect(await cluster.getNetwork(network.namespace, network.name)).toEqual(network);
        },
      );
      test("several networks can be asked for at once", async () => {
        const found = await Promise.all(
          world.networks.map(({ namespace, name }) => cluster.getNetwork(namespace, name)),
        );
        expect(found.map(({ name }) => name)).toEqual(["web-net", "on-disk", "cash-net"]);
      });
      test.each([
        ["default", "wep-net", ["did you mean web-net?", "namespace default has on-disk, web-net"]],
        ["default", "cash-net", ["it exists in namespace shop: name it as shop/cash-net"]],
        ["empty", "web-net", ["namespace empty has no networks"]],
        ["default", "", ["namespace default has"]],
      ])("network %s/%s is not found, and the hint helps", async (namespace, name, hints) => {
        const error = await cluster.getNetwork(namespace, name).catch((reason: unknown) => reason);
        expect(error).toMatchObject({ name: "ClusterError", code: "not-found" });
        if (fixture.mayList) for (const hint of hints) expect((error as Error).message).toContain(hint);
        else expect((error as Error).message).toContain("kubectl get network-attachment-definitions");
        expect((error as Error).message).not.toContain("\n");
      });
    });

    test("a pod without claims has no devices of any", async () => {
      expect(await cluster.claimedDevices(await web())).toEqual(new Map());
    });

    describe("network-status", () => {
      test("a written status is read back byte for byte beside the other annotations", async () => {
        await cluster.setNetworkStatus(await web(), status);
        const { annotations } = await web();
        expect(annotations).toEqual({ ...world.pods[0]?.annotations, [statusKey]: status });
      });
      test("a second status replaces the first", async () => {
        await cluster.setNetworkStatus(await web(), status);
        await cluster.setNetworkStatus(await web(), "[]");
        expect((await web()).annotations[statusKey]).toBe("[]");
      });
      test("a status can be taken back, and one that is not there too", async () => {
        await cluster.setNetworkStatus(await web(), undefined);
        await cluster.setNetworkStatus(await web(), status);
        await cluster.setNetworkStatus(await web(), undefined);
        expect((await web()).annotations).toEqual({ ...world.pods[0]?.annotations });
      });
      test("a status of one pod is not seen on its namesake in another namespace", async () => {
        await cluster.setNetworkStatus(await web(), status);
        expect((await fixture.connect().getPod("shop", "web"))?.annotations).toEqual({});
      });
      test("a pod of another uid is a conflict and stays untouched", async () => {
        const pod = await web();
        const stranger = { ...pod, uid: "00000000-0000-4000-8000-000000000000" };
        await expect(cluster.setNetworkStatus(stranger, status)).rejects.toMatchObject({ code: "conflict" });
        expect((await web()).annotations).not.toHaveProperty([statusKey]);
      });
      test("a pod that was replaced meanwhile is a conflict, and the new one does not inherit the status", async () => {
        const old = await web();
        await cluster.setNetworkStatus(old, status);
        await fixture.replacePod("default", "web");
        await expect(fixture.connect().setNetworkStatus(old, "[]")).rejects.toMatchObject({ code: "conflict" });
        expect((await web()).annotations).not.toHaveProperty([statusKey]);
      });
      test("a pod that was deleted meanwhile is not found", async () => {
        const pod = await web();
        await fixture.deletePod("default", "web");
        await expect(fixture.connect().setNetworkStatus(pod, status)).rejects.toMatchObject({ code: "not-found" });
      });
    });

    describe("events", () => {
      const added: PodEvent = {
        type: "Normal",
        reason: "AddedInterface",
        message: "Add net1 [10.1.2.3/24] from default/web-net",
      };
      const failed: PodEvent = {
        type: "Warning",
        reason: "NoNetworkFound",
        message: 'cannot find x: y # z\n"quoted" \\ ü',
      };

      test("flush with nothing queued does nothing", async () => {
        await cluster.flush();
        expect(await fixture.events(await web())).toEqual([]);
      });
      test("every queued event is delivered when flush resolves", async () => {
        const pod = await web();
        cluster.emit(pod, added);
        cluster.emit(pod, failed);
        await cluster.flush();
        expect(byReason(await fixture.events(pod))).toMatchObject([added, failed]);
      });
      test("events and status written together are both there", async () => {
        const pod = await web();
        cluster.emit(pod, added);
        await Promise.all([cluster.setNetworkStatus(pod, status), cluster.flush()]);
        expect((await web()).annotations[statusKey]).toBe(status);
        expect(await fixture.events(pod)).toMatchObject([added]);
      });
      test("the same event again does not pile up, and counts up where that is allowed", async () => {
        const pod = await web();
        for (let round = 0; round < 3; round++) {
          const connection = fixture.connect();
          connection.emit(pod, added);
          await connection.flush();
        }
        expect(await fixture.events(pod)).toMatchObject([{ ...added, count: fixture.countsEvents ? 3 : 1 }]);
      });
      test("a delivered event is not delivered again", async () => {
        const pod = await web();
        cluster.emit(pod, added);
        await cluster.flush();
        await cluster.flush();
        expect(await fixture.events(pod)).toMatchObject([{ ...added, count: 1 }]);
      });
      test("events of several pods each go to their own", async () => {
        const pod = await web();
        const other = await cluster.getPod("shop", "web");
        if (other === undefined) throw new Error("the fixture has no pod shop/web");
        cluster.emit(pod, added);
        cluster.emit(other, failed);
        await cluster.flush();
        expect(await fixture.events(pod)).toMatchObject([added]);
        expect(await fixture.events(other)).toMatchObject([failed]);
      });
    });
  });
}

function byReason(events: readonly StoredEvent[]): readonly StoredEvent[] {
  return events.toSorted((a, b) => a.reason.localeCompare(b.reason));
}
