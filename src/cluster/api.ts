import { isSameUser } from "../kube/access.ts";
import { KubeClient } from "../kube/client.ts";
import { Connection } from "../kube/connection.ts";
import { isNotFound, isUnknownResource } from "../kube/error.ts";
import { type ClusterEnvironment, readInCluster } from "../kube/in-cluster.ts";
import { readKubeconfig } from "../kube/kubeconfig.ts";
import { list } from "../kube/list.ts";
import { isObjectName, networks, pods } from "../kube/resource.ts";
import { userAgent } from "../kube/user-agent.ts";
import type { Logger } from "../log/logger.ts";
import { toClusterError } from "./api-error.ts";
import { deliverEvent } from "./api-event.ts";
import { namedSchema, networkOf, networkSchema, podOf, podSchema } from "./api-objects.ts";
import { writeStatus } from "./api-status.ts";
import type { PodDevices } from "./kubelet/device-list.ts";
import { type NamespacedName, networkHint } from "./near-miss.ts";
import type { Pools } from "./pools/port.ts";
import { type Cluster, ClusterError, type NetworkAttachmentDefinition, type Pod, type PodEvent } from "./port.ts";

/** How long may be spent on finding out which networks there are when one that was named is not. */
const hintTimeoutMs = 2000;
/** Enough names to find near misses among; beyond this a hint is not worth its requests. */
const hintNames = 2000;

export interface ApiOptions {
  /** Path of the kubeconfig; "" for the service account of the pod that this runs in. */
  readonly kubeconfig: string;
  /** A context of the kubeconfig in place of its current one. */
  readonly context?: string;
  /** How long each request may take, with everything that is tried again for it. */
  readonly timeoutMs: number;
  /** What the requests are made for, in the User-Agent: "ADD", "plan". */
  readonly verb: string;
  readonly environment: ClusterEnvironment;
  readonly log: Logger;
}

/**
 * Pods and networks of a Kubernetes API server. Nothing is read before the first question; what was asked is not remembered, since a
 * process asks once. Events are on their way as soon as they are emitted.
 */
export class ApiCluster implements Cluster, Disposable {
  readonly #connection: Connection;
  readonly #client: KubeClient;
  readonly #kubeconfig: string;
  #deliveries: Promise<unknown>[] = [];

  constructor({ kubeconfig, context, timeoutMs, verb, environment, log }: ApiOptions) {
    this.#kubeconfig = kubeconfig;
    this.#connection = new Connection(() =>
      kubeconfig === "" ? readInCluster(environment) : readKubeconfig(kubeconfig, context),
    );
    this.#client = new KubeClient(this.#connection, { timeoutMs, userAgent: userAgent(verb), log });
  }

  async getPod(namespace: string, name: string): Promise<Pod | undefined> {
    // Names that can't exist, some of which would be another request's path.
    if (!isObjectName(namespace) || !isObjectName(name)) return undefined;
    try {
      return podOf(await this.#client.request({ verb: "get", resource: pods, namespace, name }, podSchema));
    } catch (error) {
      if (isNotFound(error) && !isUnknownResource(error)) return undefined;
      throw toClusterError(error);
    }
  }

  async getNetwork(namespace: string, name: string): Promise<NetworkAttachmentDefinition> {
    const operation = `get network-attachment-definition ${namespace}/${name}`;
    if (isObjectName(namespace) && isObjectName(name)) {
      try {
        const target = { verb: "get", resource: networks, namespace, name } as const;
        return networkOf(await this.#client.request(target, networkSchema));
      } catch (error) {
        if (!isNotFound(error) || isUnknownResource(error)) throw toClusterError(error);
      }
    }
    const hint = await this.#networkHint({ namespace, name });
    throw new ClusterError("not-found", operation, "not found", hint);
  }

  async claimedDevices(pod: Pod): Promise<PodDevices> {
    if (pod.claims === undefined) return new Map();
    try {
      const { claimedDevices } = await import("./api-claims.ts");
      return await claimedDevices(this.#client, pod);
    } catch (error) {
      throw toClusterError(error);
    }
  }

  async setNetworkStatus(pod: Pod, value: string | undefined): Promise<void> {
    try {
      await writeStatus(this.#client, pod, value);
    } catch (error) {
      throw toClusterError(error, `set network-status of pod ${pod.namespace}/${pod.name}`);
    }
  }

  emit(pod: Pod, event: PodEvent): void {
    // Each has a handler from the start: a rejection that nobody has looked at yet would end the process.
    const delivery = deliverEvent(this.#client, pod, event).then(
      () => undefined,
      (error: unknown) => error,
    );
    this.#deliveries.push(delivery);
  }

  async flush(): Promise<void> {
    const deliveries = this.#deliveries;
    this.#deliveries = [];
    for (const failure of await Promise.all(deliveries)) if (failure !== undefined) throw toClusterError(failure);
  }

  async pools(kubeconfig: string): Promise<Pools | undefined> {
    const { ApiPools, poolsNamespace } = await import("./pools/api.ts");
    const path = kubeconfig || this.#kubeconfig;
    try {
      const own = this.#connection.access();
      const access = path === this.#kubeconfig ? own : readKubeconfig(path);
      if (access !== own && !isSameUser(access, own)) return undefined;
      return new ApiPools(this.#client, poolsNamespace(access), path);
    } catch (error) {
      throw toClusterError(error);
    }
  }

  /** Closes what connections there are; the process's end does it as well. */
  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  /** Near misses where the credentials may list networks: of the whole cluster, else of the namespace. */
  async #networkHint(wanted: NamespacedName): Promise<string> {
    const scopes = [{}, ...(isObjectName(wanted.namespace) ? [{ namespace: wanted.namespace }] : [])];
    for (const scope of scopes) {
      try {
        const options = { ...scope, onlyMetadata: true, atMostMs: hintTimeoutMs, atMost: hintNames };
        const { items } = await list(this.#client, networks, namedSchema, options);
        return networkHint(
          wanted,
          items.map(({ metadata: { namespace, name } }) => ({ namespace, name })),
        );
      } catch (error) {
        toClusterError(error);
      }
    }
    return `kubectl get network-attachment-definitions -n ${wanted.namespace} shows what there is`;
  }
}

/** The cluster of a dispatcher whose config names a kubeconfig, or that runs in a pod. */
export function openApi(options: ApiOptions): ApiCluster {
  return new ApiCluster(options);
}
