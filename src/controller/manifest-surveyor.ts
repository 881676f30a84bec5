import type { ManifestCluster } from "../cluster/manifests.ts";
import type { Pools } from "../cluster/pools/port.ts";
import { networkStatusKey, type Pod } from "../cluster/port.ts";
import { readDirectoryIfExists } from "../libc/file.ts";
import { addressesOf, type PodFacts } from "./facts.ts";
import type { Survey, Surveyor } from "./survey.ts";

/**
 * Surveys a directory of manifests: a pod is there as long as its manifest is, nobody tells of nodes, and no controller keeps an index. One without any pod
 * is a folder for pools alone, and its pods are known elsewhere.
 */
export class ManifestSurveyor implements Surveyor {
  constructor(
    readonly cluster: ManifestCluster,
    readonly pools: Pools,
  ) {}

  async survey(): Promise<Survey> {
    const [pools, reservations] = await Promise.all([this.pools.listPools(), this.pools.listReservations()]);
    const pods = new Map(this.cluster.pods().map((pod) => [`${pod.namespace}/${pod.name}`, factsOf(pod)]));
    const isPartial = pods.size === 0 || this.#sharesPools();
    return { pools, reservations, isIndexed: false, pods, isPartial, nodes: undefined };
  }

  /** The pools of one play are those of all, whose pods are elsewhere. */
  #sharesPools(): boolean {
    const entries = readDirectoryIfExists(`${this.cluster.directory}/.state`);
    return entries.some(({ name, kind }) => name === "whereabouts" && kind === "symlink");
  }

  async pod(ref: string): Promise<PodFacts | undefined> {
    const [namespace = "", name = ""] = ref.split("/");
    const pod = await this.cluster.getPod(namespace, name);
    return pod && factsOf(pod);
  }
}

function factsOf({ namespace, name, uid, annotations, isStatic, nodeName = "" }: Pod): PodFacts {
  return {
    ref: `${namespace}/${name}`,
    uid,
    phase: "",
    isTerminating: false,
    node: nodeName,
    isStatic,
    hasSandbox: undefined,
    addresses: addressesOf(annotations[networkStatusKey] ?? ""),
  };
}
