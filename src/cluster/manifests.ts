import { isErrno, SystemError } from "../libc/errno.ts";
import { type Manifest, ManifestFolder, type ManifestProblem } from "./manifest-folder.ts";
import { isNetwork, nameOf, namespaceOf, networkOf, podOf } from "./manifest-objects.ts";
import type { PodDevices } from "./kubelet/device-list.ts";
import type { Pools } from "./pools/port.ts";
import { type NamespacedName, networkHint } from "./near-miss.ts";
import { type KeptEvent, mergeEvents, type PodState, readState, removeState, updateState } from "./pod-state.ts";
import {
  type Cluster,
  ClusterError,
  type NetworkAttachmentDefinition,
  networkStatusKey,
  type Pod,
  type PodEvent,
  type PodIdentity,
} from "./port.ts";

const podKind = "Pod";
const networkKind = "NetworkAttachmentDefinition";
/** A DNS-1123 subdomain, as Kubernetes demands of the names that become a path below. */
const validName = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

interface QueuedEvent {
  readonly pod: Pod;
  readonly event: PodEvent;
}

/**
 * Pods and networks from a directory of Kubernetes YAML and JSON files, which is only read (`ManifestFolder` says which files count).
 * What a cluster would store besides is kept under DIR/.state/pods/<namespace>/<name>.yaml: annotations and events, replaced in one
 * step under a lock, and merged into what `getPod` returns as long as the pod still has the uid they were written for.
 *
 * Of two objects with one name the first in path order counts. A document that can't be parsed is an error ("invalid", with file
 * and line) only when the wanted object is found nowhere else and the document might hold it; otherwise `warn` is told.
 */
export class ManifestCluster implements Cluster {
  readonly #folder: ManifestFolder;
  readonly #where: string;
  #queue: QueuedEvent[] = [];

  /** `paths` are the files and directories to read in place of the whole directory. */
  constructor(
    readonly directory: string,
    readonly warn: (message: string) => void = () => {},
    paths?: readonly string[],
  ) {
    const roots: string[] = [];
    for (const path of paths ?? [directory]) roots.push(withoutLastSlash(path));
    this.#folder = new ManifestFolder(roots, paths !== undefined);
    this.#where = roots.join(", ");
  }

  async getPod(namespace: string, name: string): Promise<Pod | undefined> {
    const operation = `get pod ${namespace}/${name}`;
    return this.#guard(operation, () => {
      const { found, problems } = this.#find(podKind, namespace, name);
      if (found === undefined) {
        this.#refuseBroken(operation, problems);
        return undefined;
      }
      return this.#withState(podOf(found));
    });
  }

  async getNetwork(namespace: string, name: string): Promise<NetworkAttachmentDefinition> {
    const operation = `get network-attachment-definition ${namespace}/${name}`;
    return this.#guard(operation, () => {
      const { found, problems } = this.#find(networkKind, namespace, name);
      if (found !== undefined) return networkOf(found);
      this.#refuseBroken(operation, problems);
      throw new ClusterError(
        "not-found",
        operation,
        `not found in ${this.#where}`,
        networkHint({ namespace, name }, this.#networkNames()),
      );
    });
  }

  /** Manifests say nothing of what has been allocated. */
  async claimedDevices(): Promise<PodDevices> {
    return new Map();
  }

  async setNetworkStatus(pod: Pod, value: string | undefined): Promise<void> {
    const operation = `set network-status of pod ${pod.namespace}/${pod.name}`;
    this.#guard(operation, () => {
      const { found, problems } = this.#find(podKind, pod.namespace, pod.name);
      if (found === undefined) {
        this.#refuseBroken(operation, problems);
        throw new ClusterError("not-found", operation, `the pod is no longer in ${this.directory}`);
      }
      const { uid } = podOf(found);
      if (uid !== pod.uid)
        throw new ClusterError("conflict", operation, `the pod was replaced: it has uid ${uid} now, not ${pod.uid}`);
      // One write for the status and the events that wait.
      const events: PodEvent[] = [];
      const others: QueuedEvent[] = [];
      for (const entry of this.#queue) {
        if (isSamePod(entry.pod, pod)) events.push(entry.event);
        else others.push(entry);
      }
      this.#update(pod, events, (annotations) => withStatus(annotations, value));
      this.#queue = others;
    });
  }

  emit(pod: Pod, event: PodEvent): void {
    this.#queue.push({ pod, event });
  }

  async flush(): Promise<void> {
    const queue = this.#queue;
    if (queue.length === 0) return;
    this.#queue = [];
    const failures: unknown[] = [];
    for (const group of Map.groupBy(queue, ({ pod }) => `${pod.namespace}/${pod.name}/${pod.uid}`).values()) {
      const pod = group[0]?.pod;
      if (pod === undefined) continue;
      try {
        this.#guard(`write events of pod ${pod.namespace}/${pod.name}`, () => {
          this.#update(
            pod,
            group.map(({ event }) => event),
          );
        });
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Whatever credentials a config names: what is played through from a directory is to stay there. */
  async pools(): Promise<Pools> {
    const { ManifestPools } = await import("./pools/manifests.ts");
    return new ManifestPools(this.directory);
  }

  /** Every pod of the folder in path order, with its annotations merged. One that can't be understood is an "invalid" error. */
  pods(): Pod[] {
    return this.#guard(`list pods of ${this.#where}`, () => {
      const problems: ManifestProblem[] = [];
      const pods = new Map<string, Pod>();
      for (const manifest of this.#folder.list(podKind, (problem) => problems.push(problem))) {
        const pod = podOf(manifest);
        const key = `${pod.namespace}/${pod.name}`;
        if (!pods.has(key)) pods.set(key, this.#withState(pod));
      }
      this.#refuseBroken(`list pods of ${this.#where}`, problems);
      return [...pods.values()];
    });
  }

  /** The files that are read, in path order. */
  paths(): string[] {
    return this.#guard("list manifests", () => this.#folder.paths());
  }

  /** The events kept about a pod, oldest first; none when nothing was written for this uid. */
  events(pod: Pod): readonly KeptEvent[] {
    return this.#guard(`read events of pod ${pod.namespace}/${pod.name}`, () => this.#stateOf(pod)?.events ?? []);
  }

  /** Removes what was written about a pod; false when there was nothing. */
  forget(pod: PodIdentity): boolean {
    return this.#guard(`forget pod ${pod.namespace}/${pod.name}`, () => removeState(this.#statePath(pod)));
  }

  #find(kind: string, namespace: string, name: string): { found: Manifest | undefined; problems: ManifestProblem[] } {
    const problems: ManifestProblem[] = [];
    const found = this.#folder.find(
      kind,
      (problem) => problems.push(problem),
      (manifest) => (kind !== networkKind || isNetwork(manifest)) && namespaceOf(manifest) === namespace,
      name,
    );
    if (found !== undefined) for (const problem of problems) this.warn(`${problem.source}: ${problem.message}`);
    return { found, problems };
  }

  /** Names for a hint; an object too broken to have one is left out. */
  #networkNames(): NamespacedName[] {
    const names: NamespacedName[] = [];
    for (const manifest of this.#folder.list(networkKind, () => {})) {
      try {
        if (isNetwork(manifest)) names.push({ namespace: namespaceOf(manifest), name: nameOf(manifest) });
      } catch (error) {
        if (!(error instanceof ClusterError)) throw error;
      }
    }
    return names;
  }

  #refuseBroken(operation: string, problems: readonly ManifestProblem[]): void {
    const [first] = problems;
    if (first === undefined) return;
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
    throw new ClusterError(
      "invalid",
      operation,
      `${first.source} can't be read: ${first.message}${more}`,
      "correct the file: it might hold what was asked for",
    );
  }

  #withState(pod: Pod): Pod {
    const state = this.#stateOf(pod);
    return state === undefined ? pod : { ...pod, annotations: { ...pod.annotations, ...state.annotations } };
  }

  #stateOf(pod: Pod): PodState | undefined {
    const state = readState(this.#statePath(pod));
    return state?.uid === pod.uid ? state : undefined;
  }

  #update(
    pod: Pod,
    events: readonly PodEvent[],
    change: (annotations: PodState["annotations"]) => PodState["annotations"] = (same) => same,
  ): void {
    const now = new Date().toISOString();
    updateState(this.#statePath(pod), (current) => {
      const kept = current?.uid === pod.uid ? current : undefined;
      return {
        namespace: pod.namespace,
        name: pod.name,
        uid: pod.uid,
        annotations: change(kept?.annotations ?? {}),
        events: mergeEvents(kept?.events ?? [], events, now),
      };
    });
  }

  #statePath({ namespace, name }: PodIdentity): string {
    for (const part of [namespace, name]) {
      if (!validName.test(part))
        throw new ClusterError(
          "invalid",
          `pod ${namespace}/${name}`,
          `${JSON.stringify(part)} is not a Kubernetes name: expected lower-case letters, digits, "-" and "."`,
        );
    }
    return `${this.directory}/.state/pods/${namespace}/${name}.yaml`;
  }

  /** Failed system calls become cluster errors, the only ones a caller of the port has to expect. */
  #guard<T>(operation: string, body: () => T): T {
    try {
      return body();
    } catch (cause) {
      if (!(cause instanceof SystemError)) throw cause;
      const hint = isErrno(cause, "ENOENT", "ENOTDIR")
        ? `"manifests" must name a directory of Kubernetes YAML files`
        : isErrno(cause, "EROFS", "EACCES")
          ? `polynic writes below ${this.directory}/.state`
          : "";
      throw new ClusterError("unavailable", operation, cause.message, hint, { cause });
    }
  }
}

function withoutLastSlash(path: string): string {
  let end = path.length;
  while (end > 1 && path.charAt(end - 1) === "/") end--;
  return path.slice(0, end);
}

/** The cluster of a dispatcher whose config says `"manifests": directory`. Nothing is read yet. */
export function openManifests(directory: string, warn?: (message: string) => void): ManifestCluster {
  return new ManifestCluster(directory, warn);
}

function withStatus(annotations: PodState["annotations"], value: string | undefined): PodState["annotations"] {
  const { [networkStatusKey]: _, ...others } = annotations;
  return value === undefined ? others : { ...others, [networkStatusKey]: value };
}

function isSamePod(a: Pod, b: Pod): boolean {
  return a.namespace === b.namespace && a.name === b.name && a.uid === b.uid;
}
