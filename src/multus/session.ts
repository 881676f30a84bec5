import type { Cluster, Pod, PodIdentity } from "../cluster/port.ts";
import { argument, type CniArgs } from "../cni/args.ts";
import { depthVariable, type Environment } from "../cni/environment.ts";
import { code, CniError } from "../cni/error.ts";
import type { Call, Runtime } from "../cni/plugin.ts";
import { ResultCache } from "../cni/result-cache.ts";
import type { Logger } from "../log/logger.ts";
import { openLogger } from "../log/open.ts";
import type { MultusConf } from "./config.ts";
import { DispatchError, fromCluster } from "./dispatch-error.ts";
import type { ContainerLock } from "./lock.ts";

const podNamespace = "K8S_POD_NAMESPACE";
const podName = "K8S_POD_NAME";

/** What one call of the dispatcher works with: its config, the log that it names, and the runtime that delegates are called with. */
export interface Session {
  readonly conf: MultusConf;
  readonly log: Logger;
  readonly runtime: Runtime;
  /** libcni's cache of results, in `cniDir`. */
  readonly cache: ResultCache;
  /** Where foreign plugins are searched: binDir before CNI_PATH, as Multus has it. */
  readonly path: readonly string[];
  /** A plugin that polynic called has called us. */
  readonly isNested: boolean;
  /** See `openCluster`. */
  readonly cluster: () => Promise<Cluster | undefined>;
}

/** A session of a call; nothing is opened but what a delegate will need. */
export function openSession(call: Call, conf: MultusConf): Session {
  const log = openLogger(conf.log);
  for (const warning of conf.warnings) log.error(warning);
  let opened: Promise<Cluster | undefined> | undefined;
  const cluster = () => (opened ??= connect(conf, runtime, Number.POSITIVE_INFINITY));
  const runtime: Runtime = {
    ...call.runtime,
    log,
    execPlugins: new Set(conf.execPlugins),
    delegateTimeoutMs: conf.delegateTimeoutMs,
    cluster,
  };
  return {
    conf,
    log,
    runtime,
    cache: new ResultCache(conf.cniDir),
    path: searchPath(conf.binDir, call.path),
    isNested: Number(call.runtime.environment[depthVariable] ?? "0") > 0,
    cluster,
  };
}

/** The session, its plugins' processes written down in the lock that is held meanwhile. */
export function underLock(session: Session, lock: ContainerLock): Session {
  return { ...session, runtime: { ...session.runtime, onChild: (pid) => lock.noteChild(pid) } };
}

function searchPath(binDir: string, path: readonly string[]): string[] {
  const folders = [binDir];
  for (const folder of path) if (folder !== binDir) folders.push(folder);
  return folders;
}

/**
 * The store of pods and networks that the config names, or the API server of the pod that this runs in; undefined when there is neither,
 * and then pods get the node's networks only. Nothing is read yet. `longestWaitMs` is for those who can do without an answer; without it a
 * session has one cluster.
 */
export function openCluster(session: Session, longestWaitMs?: number): Promise<Cluster | undefined> {
  return longestWaitMs === undefined ? session.cluster() : connect(session.conf, session.runtime, longestWaitMs);
}

async function connect(
  conf: MultusConf,
  { environment, log }: Runtime,
  longestWaitMs: number,
): Promise<Cluster | undefined> {
  if (conf.manifests !== undefined) {
    const { openManifests } = await import("../cluster/manifests.ts");
    return openManifests(conf.manifests);
  }
  if (conf.kubeconfig === "" && !isInPod(environment)) return undefined;
  const { openApi } = await import("../cluster/api.ts");
  const timeoutMs = Math.min(conf.apiTimeoutMs, longestWaitMs);
  const verb = environment["CNI_COMMAND"] ?? "";
  return openApi({ kubeconfig: conf.kubeconfig, timeoutMs, verb, environment, log });
}

/** Kubelet sets these in every container; Multus looks at them when its config names no kubeconfig. */
function isInPod(environment: Environment): boolean {
  return ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"].every((name) => (environment[name] ?? "") !== "");
}

/** Which pod a call is for, from CNI_ARGS; undefined when for none, as with containers that no kubelet started. */
export function podIdentity(args: CniArgs): PodIdentity | undefined {
  const namespace = argument(args, podNamespace) ?? "";
  const name = argument(args, podName) ?? "";
  const uid = argument(args, "K8S_POD_UID") ?? "";
  if (namespace === "" || name === "") return undefined;
  return uid === "" ? { namespace, name } : { namespace, name, uid };
}

/**
 * As `podIdentity`, for ADD, where a pod that is overlooked would start without its networks. Throws `CniError` code 4 when CNI_ARGS can't
 * be read, or name half of a pod.
 */
export function requireIdentity(args: CniArgs): PodIdentity | undefined {
  const [bad] = args.malformed;
  if (bad !== undefined) {
    throw new CniError(
      code.invalidEnvironment,
      `CNI_ARGS: invalid pair ${JSON.stringify(bad)}`,
      "expected KEY=VALUE pairs joined by ;",
    );
  }
  const identity = podIdentity(args);
  const [given, missing] = (argument(args, podName) ?? "") === "" ? [podNamespace, podName] : [podName, podNamespace];
  if (identity === undefined && (argument(args, given) ?? "") !== "") {
    throw new CniError(code.invalidEnvironment, `CNI_ARGS has ${given} but no ${missing}: a pod is named by both`);
  }
  return identity;
}

/** True when the pod is the one the runtime means: one deleted and made again under the same name has another uid. */
export function isSamePod({ uid }: PodIdentity, pod: Pod): boolean {
  // The uid that kubelet makes for a pod of its own is not that of the pod's mirror in the API server.
  return uid === undefined || uid === pod.uid || pod.isStatic;
}

/**
 * The pod of a call, checked to be the one the runtime means. Undefined when the call is for no pod or the config names no store. Throws
 * `CniError` code 11 when the pod can't be looked up or is gone (the runtime's next try finds out), 7 for another pod of that name.
 */
export async function findPod(
  cluster: Cluster | undefined,
  identity: PodIdentity | undefined,
): Promise<Pod | undefined> {
  if (cluster === undefined || identity === undefined) return undefined;
  const { namespace, name, uid } = identity;
  const pod = await cluster.getPod(namespace, name).catch((error: unknown) => {
    throw fromCluster(error).within("error waiting for pod: ");
  });
  if (pod === undefined) {
    throw new CniError(
      code.tryAgainLater,
      `pod ${namespace}/${name} does not exist`,
      "it may have been deleted meanwhile; nothing was attached",
    );
  }
  if (!isSamePod(identity, pod)) {
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
