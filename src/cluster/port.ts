import type { PodDevices } from "./kubelet/device-list.ts";
import type { Pools } from "./pools/port.ts";

/** Which pod a call is for, as the runtime names it in CNI_ARGS (K8S_POD_NAMESPACE, K8S_POD_NAME, K8S_POD_UID). */
export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string;
}

/** A ResourceClaim of a pod, in the pod's namespace. */
export interface PodClaim {
  readonly name: string;
  /** The resource that a request of the claim was made for, by the request's name; empty for a claim that the pod itself names. */
  readonly resources: ReadonlyMap<string, string>;
}

/** What a dispatcher needs to know of a pod. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  /** Never empty: an adapter without uids of its own makes a stable one up. */
  readonly uid: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Started by kubelet from a file or URL: its uid differs from the one the runtime passes (annotation kubernetes.io/config.source). */
  readonly isStatic: boolean;
  readonly nodeName?: string;
  /** The claims of devices that its status names; absent for none. */
  readonly claims?: readonly PodClaim[];
  /** Present, and true, for a pod that shares the node's network (spec.hostNetwork): a runtime never calls CNI for it. */
  readonly usesHostNetwork?: true;
}

/** A NetworkAttachmentDefinition (k8s.cni.cncf.io/v1, NPWG multi-network spec 3). */
export interface NetworkAttachmentDefinition {
  readonly namespace: string;
  readonly name: string;
  /** spec.config byte for byte; "" when the object has none, which means "look in the node's own configuration directory". */
  readonly config: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What `kubectl describe pod` shows under Events. */
export interface PodEvent {
  readonly type: "Normal" | "Warning";
  /** One CamelCase word that tools filter by: AddedInterface, NoNetworkFound. */
  readonly reason: string;
  readonly message: string;
}

/**
 * The port to whatever keeps pods and networks. An adapter is made for one call of a runtime (or one long-running program) and
 * passes the contract in test/kit/cluster-contract.ts. Everything it throws is a `ClusterError`.
 */
export interface Cluster {
  /** The pod; undefined when it does not exist (deleted meanwhile, or never known here). */
  getPod(namespace: string, name: string): Promise<Pod | undefined>;

  /** A network; a missing one is a "not-found" error whose hint names the near misses. */
  getNetwork(namespace: string, name: string): Promise<NetworkAttachmentDefinition>;

  /**
   * The devices that the pod's claims have been allocated and that are meant for networks, by resource (resource.k8s.io/v1); what kubelet's
   * device plugins have assigned is not among them. Asks nothing for a pod without claims.
   */
  claimedDevices(pod: Pod): Promise<PodDevices>;

  /**
   * Writes the annotation k8s.v1.cni.cncf.io/network-status, or removes it for undefined. "not-found" when the pod is gone, "conflict" when
   * another pod (another uid) bears the name by now; then nothing is written.
   */
  setNetworkStatus(pod: Pod, value: string | undefined): Promise<void>;

  /** Queues an event about the pod; never throws and never waits. */
  emit(pod: Pod, event: PodEvent): void;

  /** Resolves when every queued event is delivered; rejects with the first that could not be, after trying all. */
  flush(): Promise<void>;

  /**
   * The address pools that are kept where this cluster is, asked for over the same connection; undefined when the credentials in the file
   * `kubeconfig` ("" for none) lead to another server, or to this one as somebody else.
   */
  pools(kubeconfig: string): Promise<Pools | undefined>;
}

/** The annotation that reports what a pod got (NPWG multi-network spec 5). */
export const networkStatusKey = "k8s.v1.cni.cncf.io/network-status";

/**
 * not-found: no such object. invalid: it is there but can't be understood. unavailable: the store can't be reached now, worth
 * a retry. unauthorized, forbidden: who we are, what we may. conflict: the object is another one by now.
 */
export type ClusterErrorCode = "not-found" | "invalid" | "unavailable" | "unauthorized" | "forbidden" | "conflict";

/** Why the cluster could not answer: `<operation>: <problem>; <hint>` in one line. The hint says what to do and may be "". */
export class ClusterError extends Error {
  override readonly name = "ClusterError";
  constructor(
    readonly code: ClusterErrorCode,
    readonly operation: string,
    readonly problem: string,
    readonly hint = "",
    options?: ErrorOptions,
  ) {
    super(`${operation}: ${problem}${hint === "" ? "" : `; ${hint}`}`, options);
  }
}

/** True when `error` is a cluster error with one of these codes; with any code when none is named. */
export function isClusterError(error: unknown, ...codes: readonly ClusterErrorCode[]): error is ClusterError {
  return error instanceof ClusterError && (codes.length === 0 || codes.includes(error.code));
}

/** True when a pod's annotations say that kubelet started it from a file or URL and the API server only holds its mirror. */
export function isStaticPod(annotations: Readonly<Record<string, string>>): boolean {
  const source = annotations["kubernetes.io/config.source"];
  return source !== undefined && source !== "api";
}
