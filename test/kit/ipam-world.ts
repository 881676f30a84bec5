// Pools, claims and pods of a test on the lane's API server, as a node's allocator and whereabouts make them.
import { threadId } from "node:worker_threads";
import { ApiPools } from "../../src/cluster/pools/api.ts";
import { KubeClient } from "../../src/kube/client.ts";
import { Connection } from "../../src/kube/connection.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { claimMetadata, holdFinalizer } from "../../src/pool/claim.ts";
import { poolName } from "../../src/pool/names.ts";
import { parsePrefix } from "../../src/ip/prefix.ts";
import type { ApiServerFacts } from "./api-server.ts";
import { type Account, accessOf, grantIpamIn, kubeconfig } from "./cluster.ts";
import { KubeAdmin, type KubeJson } from "./kube-admin.ts";

const apiVersion = "whereabouts.cni.cncf.io/v1alpha1";
const timeoutMs = 30_000;

let count = 0;

/** A client with an account's rights, and the pools as it sees them. */
export async function connectPools(
  api: ApiServerFacts,
  account: Account,
  namespace: string,
  server = new KubeAdmin(api).server,
): Promise<{ readonly client: KubeClient; readonly pools: ApiPools }> {
  const access = await accessOf(api, account, server);
  const client = new KubeClient(new Connection(() => access), { timeoutMs, userAgent: "test", log: silentLogger });
  return { client, pools: new ApiPools(client, namespace, "") };
}

export interface TestClaim {
  readonly range: string;
  readonly address: string;
  readonly podref: string;
  readonly podUid?: string;
  readonly node?: string;
  readonly containerId?: string;
}

/** Everything of one test; what was made is taken away by `clear`. */
export class IpamWorld {
  readonly admin: KubeAdmin;
  readonly #objects: KubeJson[] = [];

  private constructor(
    readonly api: ApiServerFacts,
    /** With a node's rights. */
    readonly pools: ApiPools,
  ) {
    this.admin = new KubeAdmin(api);
  }

  /** In a namespace of its own, so that files of tests do not see each other's pools. */
  static async make(api: ApiServerFacts): Promise<IpamWorld> {
    const namespace = `ipam-${threadId}-${count++}`;
    const admin = new KubeAdmin(api);
    await admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    await grantIpamIn(admin, namespace);
    return new IpamWorld(api, (await connectPools(api, "polynic", namespace)).pools);
  }

  /** Of the pools. */
  get namespace(): string {
    return this.pools.namespace;
  }

  /** The text of a kubeconfig for an account, as whereabouts' installer writes it: with the namespace of the pools. */
  async kubeconfig(account: Account, server = this.admin.server): Promise<string> {
    const user = { token: await this.admin.token("kube-system", account) };
    return kubeconfig({ server, ca: this.api.ca, user, namespace: this.namespace });
  }

  /** Claims an address as a node of ours does. */
  async claim({
    range,
    address,
    podref,
    ...more
  }: TestClaim): Promise<{ readonly name: string; readonly uid: string }> {
    const { podUid = "", node = "node-1", containerId = `c-${address}` } = more;
    const network = parsePrefix(range);
    if (network === undefined) throw new TypeError(range);
    const facts = { pool: poolName({ range: network, network: "" }), range, address, node, podUid, ifName: "net1" };
    const name = address.replaceAll(":", "-");
    const uid = await this.pools.createReservation({
      name,
      owner: crypto.randomUUID(),
      ...claimMetadata(facts, containerId),
      finalizers: [holdFinalizer],
      podref,
      containerId,
      ifName: "net1",
    });
    if (uid === undefined) throw new Error(`${address} is taken`);
    return { name, uid };
  }

  /** A pool with entries as whereabouts writes them, and its reservation for each when `withReservations`. */
  async goPool(range: string, entries: Readonly<Record<string, string>>, withReservations = false): Promise<string> {
    const network = parsePrefix(range);
    if (network === undefined) throw new TypeError(range);
    const name = poolName({ range: network, network: "" });
    await this.pools.createPool(name, range);
    const changes = Object.entries(entries).map(
      ([key, podref]) => ({ op: "add", key, entry: { id: `go-${key}`, podref, ifname: "net1" } }) as const,
    );
    await this.pools.patchPool(name, changes);
    if (withReservations)
      for (const [key, podref] of Object.entries(entries))
        await this.goReservation(range.replace(/\.0\/\d+$/, `.${key}`), podref);
    return name;
  }

  async goReservation(name: string, podref: string): Promise<void> {
    await this.admin.create({
      apiVersion,
      kind: "OverlappingRangeIPReservation",
      metadata: { namespace: this.namespace, name },
      spec: { podref, ifname: "net1" },
    });
  }

  /** A pod that runs on a node; its uid. */
  async pod(name: string, { phase = "Running", node = "node-1", annotations = {} } = {}): Promise<string> {
    const object: KubeJson = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace: "default", name, annotations },
      spec: { nodeName: node, containers: [{ name: "main", image: "none" }] },
    };
    this.#objects.push(object);
    const { metadata } = await this.admin.create(object);
    const path = `/api/v1/namespaces/default/pods/${name}/status`;
    await this.admin.send("PATCH", path, { status: { phase } });
    return String(metadata["uid"]);
  }

  async deletePod(name: string): Promise<void> {
    await this.admin.delete({ apiVersion: "v1", kind: "Pod", metadata: { namespace: "default", name } });
  }

  async node(name: string, isReady = true): Promise<string> {
    const object: KubeJson = { apiVersion: "v1", kind: "Node", metadata: { name } };
    this.#objects.push(object);
    const { metadata } = await this.admin.create(object);
    await this.admin.send("PATCH", `/api/v1/nodes/${name}/status`, {
      status: { conditions: [{ type: "Ready", status: isReady ? "True" : "Unknown" }] },
    });
    return String(metadata["uid"]);
  }

  async deleteNode(name: string): Promise<void> {
    await this.admin.delete({ apiVersion: "v1", kind: "Node", metadata: { name } });
  }

  /** Names of all reservations. */
  async held(): Promise<string[]> {
    return (await this.pools.reservationNames()).toSorted();
  }

  async map(pool: string): Promise<Readonly<Record<string, unknown>>> {
    return (await this.pools.getPool(pool))?.allocations ?? {};
  }

  /** Waits until the server's memory, which an ADD asks, has every pool as it is now. */
  async untilRecent(): Promise<void> {
    for (const { name, resourceVersion } of await this.pools.listPools()) {
      const seen = async () => (await this.pools.getPool(name, "recent"))?.resourceVersion;
      if ((await eventually(seen, resourceVersion)) !== resourceVersion)
        throw new Error(`the server's memory of pool ${name} stays behind`);
    }
  }

  /** Takes every pool and reservation of the namespace away, and this test's pods and nodes. */
  async clear(): Promise<void> {
    for (const object of this.#objects.splice(0)) await this.admin.delete(object);
    for (const { name, uid, finalizers } of await this.pools.listReservations())
      await this.pools.deleteReservation(name, uid, finalizers.includes(holdFinalizer));
    for (const plural of ["ippools", "nodeslicepools"])
      await this.admin.send("DELETE", `/apis/${apiVersion}/namespaces/${this.namespace}/${plural}`);
    for (const name of ["polynic-ipam", "whereabouts"])
      await this.admin.delete({
        apiVersion: "coordination.k8s.io/v1",
        kind: "Lease",
        metadata: { namespace: this.namespace, name },
      });
  }
}

/** Looks again and again until `look` gives what is wanted; the last look is returned for the assertion. */
export async function eventually<T>(look: () => Promise<T>, want: T, timeoutMs = 60_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const began = performance.now();
    const seen = await look();
    if (Bun.deepEquals(seen, want, true) || performance.now() > deadline) return seen;
    // What is dear to look at is looked at less often.
    await Bun.sleep(20 + 4 * (performance.now() - began));
  }
}
