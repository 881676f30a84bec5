import type { Cluster, Pod, PodIdentity } from "../cluster/port.ts";
import { ClusterError } from "../cluster/port.ts";
import { argument, type CniArgs } from "../cni/args.ts";
import { code, CniError } from "../cni/error.ts";
import type { Call, Runtime } from "../cni/plugin.ts";
import { ResultCache } from "../cni/result-cache.ts";
import type { Logger } from "../log/logger.ts";
import { openLogger } from "../log/open.ts";
import type { MultusConf } from "./config.ts";
import { DispatchError } from "./dispatch-error.ts";

/** What one call of the dispatcher works with: its config, the log that it names, and the runtime that delegates are called with. */
export interface Session {
  readonly conf: MultusConf;
  readonly log: Logger;
  readonly runtime: Runtime;
  /** libcni's cache of results, in `cniDir`. */
  readonly cache: ResultCache;
  /** Where foreign plugins are searched: binDir before CNI_PATH, as Multus has it. */
  readonly path: readonly string[];
}

/** A session of a call; nothing is opened but what a delegate will need. */
export function openSession(call: Call, conf: MultusConf): Session {
  const log = openLogger(conf.log);
  const runtime: Runtime = {
    ...call.runtime,
    log,
    execPlugins: new Set(conf.execPlugins),
    delegateTimeoutMs: conf.delegateTimeoutMs,
  };
  return {
    conf,
    log,
    runtime,
    cache: new ResultCache(conf.cniDir),
    path: [conf.binDir, ...call.path.filter((folder) => folder !== conf.binDir)],
  };
}

/** The store of pods and networks that the config names; undefined when it names none, and then pods get the node's networks only. */
export async function openCluster(conf: MultusConf): Promise<Cluster | undefined> {
  if (conf.manifests !== undefined) {
    const { openManifests } = await import("../cluster/manifests.ts");
    return openManifests(conf.manifests);
  }
  if (conf.kubeconfig === "") return undefined;
  throw new CniError(
    code.invalidConfig,
    `multus config: $.kubeconfig: this build of polynic has no Kubernetes client; name a directory of manifests under "manifests", or remove the key to attach the node's networks only`,
  );
}

/** Which pod a call is for, from CNI_ARGS; undefined when for none, as with containers that no kubelet started. */
export function podIdentity(args: CniArgs): PodIdentity | undefined {
  const namespace = argument(args, "K8S_POD_NAMESPACE") ?? "";
  const name = argument(args, "K8S_POD_NAME") ?? "";
  const uid = argument(args, "K8S_POD_UID") ?? "";
  if (namespace === "" || name === "") return undefined;
  return uid === "" ? { namespace, name } : { namespace, name, uid };
}

/**
 * The pod of a call, checked to be the one the runtime means: a pod deleted and made again under the same name has another uid.
 * Undefined when the call is for no pod or the config names no store. Throws `DispatchError`: code 11 when the pod is gone (the
 * runtime's next try finds out), code 999 for another uid.
 */
export async function findPod(
  cluster: Cluster | undefined,
  identity: PodIdentity | undefined,
): Promise<Pod | undefined> {
  if (cluster === undefined || identity === undefined) return undefined;
  const { namespace, name, uid } = identity;
  const pod = await cluster.getPod(namespace, name);
  if (pod === undefined) {
    throw new ClusterError(
      "not-found",
      `get pod ${namespace}/${name}`,
      "there is no such pod",
      "it may have been deleted meanwhile; nothing was attached",
    );
  }
  if (uid !== undefined && uid !== pod.uid && !pod.isStatic) {
    throw new DispatchError(
      "FailedToAttach",
      `expected pod UID ${JSON.stringify(uid)} but got ${JSON.stringify(pod.uid)}: the pod was deleted and made again under the same name`,
    );
  }
  return pod;
}

/** How a message begins that is about a pod: "[namespace/name/uid]: ", as Multus has it; "" for no pod. */
export function podLabel(identity: PodIdentity | undefined): string {
  return identity === undefined ? "" : `[${identity.namespace}/${identity.name}/${identity.uid ?? ""}]: `;
}
