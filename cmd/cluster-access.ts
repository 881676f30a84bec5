import { existsSync } from "node:fs";
import { ApiPools, poolsNamespace } from "../src/cluster/pools/api.ts";
import type { Access } from "../src/kube/access.ts";
import { KubeClient } from "../src/kube/client.ts";
import { Connection } from "../src/kube/connection.ts";
import { readInCluster } from "../src/kube/in-cluster.ts";
import { readKubeconfig } from "../src/kube/kubeconfig.ts";
import { userAgent } from "../src/kube/user-agent.ts";
import { afterLastWords } from "../src/kube/request-limit.ts";
import type { Logger } from "../src/log/logger.ts";
import { UsageError } from "./usage-error.ts";

export interface ClusterAccessRequest {
  /** Path; "" for $KUBECONFIG, or else the service account of the pod that this runs in. */
  readonly kubeconfig: string;
  /** Of the pools; "" for $WHEREABOUTS_NAMESPACE, or else what the credentials name, or else kube-system. */
  readonly namespace: string;
  readonly verb: string;
  readonly timeoutMs: number;
  readonly log: Logger;
  /** Of a program that runs until it is told to end: it does not wait for a server then. */
  readonly signal?: AbortSignal;
}

/** A cluster as long-running programs and verbs by hand reach it. */
export interface ClusterAccess {
  readonly client: KubeClient;
  readonly pools: ApiPools;
  readonly namespace: string;
}

const cure = "is the API server up, and reachable from here?";

/** Reads the credentials; asks the server nothing yet. Throws `UsageError` when there are none, `KubeError` for those that can't be used. */
export function clusterAccess({
  kubeconfig,
  namespace,
  verb,
  timeoutMs,
  log,
  signal,
}: ClusterAccessRequest): ClusterAccess {
  const { KUBECONFIG = "", KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT, WHEREABOUTS_NAMESPACE = "" } = process.env;
  const path = kubeconfig || KUBECONFIG;
  if (path === "" && (KUBERNETES_SERVICE_HOST ?? "") === "")
    throw new UsageError(
      "name the cluster with --kubeconfig FILE or $KUBECONFIG, or run in a pod with a service account",
    );
  if (path !== "" && !existsSync(path))
    throw new UsageError(`no kubeconfig at ${path}; name the cluster's by --kubeconfig FILE or $KUBECONFIG`);
  const connection = new Connection(() =>
    path === "" ? readInCluster({ KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT }) : readKubeconfig(path),
  );
  const used = namespace || WHEREABOUTS_NAMESPACE || namespaceOf(connection.access(), path === "");
  const end = signal === undefined ? {} : { end: afterLastWords(signal) };
  const client = new KubeClient(connection, { timeoutMs, userAgent: userAgent(verb), log, cure, ...end });
  return { client, pools: new ApiPools(client, used, path), namespace: used };
}

/** As the nodes find it by the same kubeconfig. A service account is of some namespace always; only "default" is what nobody has chosen. */
function namespaceOf(access: Access, isAccount: boolean): string {
  return isAccount && access.namespace !== "default" ? access.namespace : poolsNamespace(access);
}
