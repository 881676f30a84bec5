import type { Pools } from "../cluster/pools/port.ts";
import { isNotFound, isForbidden } from "../kube/error.ts";
import type { KubeClient } from "../kube/client.ts";
import { list } from "../kube/list.ts";
import { isObjectName, nodes, pods } from "../kube/resource.ts";
import type { IpPool, Reservation } from "../pool/objects.ts";
import { type NodeFacts, nodeFactsOf, nodeFactsSchema, type PodFacts, podFactsOf, podFactsSchema } from "./facts.ts";
import type { Evidence } from "./verdict.ts";

/** Everything there is, as it was within one moment: pods are read after what they hold, so none of them is missed. */
export interface Survey extends Evidence {
  readonly pools: readonly IpPool[];
  readonly reservations: readonly Reservation[];
  /** False where nobody writes claims into the pools' maps: they are not behind then. */
  readonly isIndexed: boolean;
}

/** Where surveys come from. */
export interface Surveyor {
  survey(): Promise<Survey>;
  /** A pod as it is now; undefined when there is none. */
  pod(ref: string): Promise<PodFacts | undefined>;
}

/** Surveys a cluster. Nodes are left out where the credentials may not list them. */
export class ApiSurveyor implements Surveyor {
  constructor(
    readonly client: KubeClient,
    readonly pools: Pools,
  ) {}

  async survey(): Promise<Survey> {
    const [allPools, reservations] = await Promise.all([this.pools.listPools(), this.pools.listReservations()]);
    const [found, known] = await Promise.all([list(this.client, pods, podFactsSchema), this.#nodes()]);
    const byRef = new Map(found.items.map(podFactsOf).map((pod) => [pod.ref, pod]));
    return { pools: allPools, reservations, isIndexed: true, pods: byRef, nodes: known };
  }

  async pod(ref: string): Promise<PodFacts | undefined> {
    const [namespace = "", name = ""] = ref.split("/");
    if (!isObjectName(namespace) || !isObjectName(name)) return undefined;
    try {
      return podFactsOf(await this.client.request({ verb: "get", resource: pods, namespace, name }, podFactsSchema));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #nodes(): Promise<ReadonlyMap<string, NodeFacts> | undefined> {
    try {
      const { items } = await list(this.client, nodes, nodeFactsSchema);
      return new Map(items.map(nodeFactsOf).map((node) => [node.name, node]));
    } catch (error) {
      if (isForbidden(error)) return undefined;
      throw error;
    }
  }
}
