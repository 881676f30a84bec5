import type { Pod, PodIdentity } from "../cluster/port.ts";
import type { NetworkList } from "../cni/network-list.ts";
import type { JsonObject } from "../json/value.ts";
import { replaceFile } from "../libc/file.ts";
import { networksAnnotation } from "../multus/selection.ts";
import { deleteNetns } from "../netns/pin.ts";
import { listNames } from "../words/near-miss.ts";
import { mapBounded } from "./bounded.ts";
import { ContainerRuntime } from "./container-runtime.ts";
import { defaultConf } from "./default-conf.ts";
import { moveToNode } from "./node.ts";
import { PlayError } from "./play-error.ts";
import { PlayLog } from "./play-log.ts";
import { dispatcherConf, dispatcherType, readConf, readConfWith, toList } from "./pod-conf.ts";
import { podFailure, type PodFailure } from "./pod-failure.ts";
import { PodSources } from "./pods.ts";
import { millisecondsSince, type PlayReport, type PodReport, reportPod } from "./report.ts";
import { emptyRoot, makePlayFolder, sharePools } from "./root.ts";
import { createSandbox, newContainerId } from "./sandbox.ts";
import { layout, lockRoot, type PlayedPod, type PlayState, readPlayState, writePlayState } from "./state.ts";

/** What to make, from what, and where. */
export interface PlayOptions {
  /** Folder for all that is kept between calls. */
  readonly root: string;
  /** Manifest files and directories. */
  readonly paths: readonly string[];
  /** Path of the node's network namespace; "" for the one this thread is in. */
  readonly node: string;
  /** A CNI configuration in place of the default one; "" for none. */
  readonly conf: string;
  /** Addresses of the default network, when `conf` names none. */
  readonly podCidr: string;
}

/** Pods that are made at a time: more would only wait for the kernel's one lock around network devices. */
const podsAtOnce = 8;
const namesShownMax = 3;
const upAlready = "is up already; take it down first with polynic play --down";

/**
 * Makes every pod of the manifests: a network namespace, then its networks, as a container runtime would. A pod that fails is cleaned up
 * and reported; the others are not affected. Throws `PlayError` when nothing could be begun: bad manifests, another play at work, no
 * such node. Moves the calling thread into the node's namespace.
 */
export async function playUp(options: PlayOptions): Promise<PlayReport> {
  const { root, node } = options;
  // Whatever the caller may have got wrong comes first, so that a refusal leaves nothing behind.
  const sources = new PodSources(options.paths);
  moveToNode(node);
  if (options.conf !== "") readConf(options.conf);
  using _lock = lockRoot(root);
  const { pods: earlier } = stateFor(root, node);
  const isUp = (pod: Pod): boolean => earlier.some((other) => isSame(other, pod));
  const refused = sources.pods.filter(isUp).map((pod) => podFailure(pod, new PlayError(upAlready)));
  const wanted = sources.pods.filter((pod) => !isUp(pod));
  if (wanted.length === 0) return { pods: [], failures: refused, warnings: [] };
  // A folder of its own for each play: its pods keep their config and manifests, whatever is played later.
  const play = Math.max(0, ...earlier.map((pod) => pod.play)) + 1;
  const list = listFor(options, layout.manifests(root, play), sources.publishes);
  const planned = wanted.map((pod) => planPod(root, pod, play));
  // Written before anything is made, so that whatever happens from here on, `play --down` finds it.
  writePlayState(root, { node, pods: [...earlier, ...planned] });
  makePlayFolder(root, play);
  const inUsersWords = sources.copyTo(layout.manifests(root, play));
  sharePools(root, play);
  replaceFile(layout.conf(root, play), list.text);
  const log = new PlayLog(layout.log(root));
  using runtime = new ContainerRuntime(root);
  const outcomes = await mapBounded(planned, podsAtOnce, (pod) =>
    startPod(runtime, pod, list, sources.hostPorts.of(pod)),
  );
  const remaining = [...earlier, ...outcomes.filter(({ isGone }) => !isGone).map(({ pod }) => pod)];
  writePlayState(root, { node, pods: remaining });
  const failed = outcomes.flatMap(({ failure }) => failure ?? []);
  const warnings = log.warnings(failed);
  if (remaining.length === 0) emptyRoot(root);
  return {
    pods: outcomes.flatMap(({ report }) => report ?? []),
    failures: [...refused, ...failed.map((each) => ({ ...each, error: inUsersWords(each.error) }))],
    warnings: [...unreadAnnotations(list, options.conf, wanted), ...warnings.map(inUsersWords)],
  };
}

/** A config without the dispatcher is one that a pod may have; that its annotation then does nothing is seldom what was meant. */
function unreadAnnotations(list: NetworkList, path: string, pods: readonly Pod[]): readonly string[] {
  if (dispatcherConf(list) !== undefined) return [];
  const asking = pods.filter(({ annotations }) => (annotations[networksAnnotation] ?? "").trim() !== "");
  if (asking.length === 0) return [];
  return [
    `network ${list.name} of ${path} has no plugin of type ${dispatcherType}: the networks in the annotations of ${listNames(
      asking.map(({ namespace, name }) => `${namespace}/${name}`),
      namesShownMax,
    )} were not attached`,
  ];
}

/** What is there already. One root is for one node: DEL must happen where ADD did. */
function stateFor(root: string, node: string): PlayState {
  const state = readPlayState(root) ?? { node, pods: [] };
  if (state.node === node || state.pods.length === 0) return state;
  throw new PlayError(`${root} holds pods of another node (${state.node || "this machine"}); choose another --root`);
}

/** What became of one pod: it has a report, or a failure; a failed one may be gone, or wait for `play --down`. */
interface Outcome {
  readonly pod: PlayedPod;
  readonly report?: PodReport;
  readonly failure?: PodFailure;
  readonly isGone: boolean;
}

function listFor({ root, conf, podCidr }: PlayOptions, manifests: string, publishes: boolean): NetworkList {
  return conf === "" ? toList(defaultConf({ root, manifests, podCidr, publishes })) : readConfWith(conf, manifests);
}

function planPod(root: string, { namespace, name, uid }: Pod, play: number): PlayedPod {
  const netns = `${layout.netns(root)}/${namespace}_${name}`;
  return { namespace, name, uid, containerId: newContainerId(), netns, play };
}

async function startPod(
  runtime: ContainerRuntime,
  pod: PlayedPod,
  list: NetworkList,
  hostPorts: readonly JsonObject[],
): Promise<Outcome> {
  try {
    createSandbox(pod.netns);
  } catch (error) {
    return { pod, failure: podFailure(pod, error), isGone: true };
  }
  try {
    const began = performance.now();
    await runtime.add(pod, list, hostPorts);
    return { pod, report: reportPod(pod, list, millisecondsSince(began)), isGone: false };
  } catch (error) {
    return stopFailed(runtime, pod, list, podFailure(pod, error));
  }
}

/** As a runtime does after a failed ADD: DEL, then the namespace goes. */
async function stopFailed(
  runtime: ContainerRuntime,
  pod: PlayedPod,
  list: NetworkList,
  failure: PodFailure,
): Promise<Outcome> {
  try {
    await runtime.del(pod, list);
    deleteNetns(pod.netns);
    return { pod, failure, isGone: true };
  } catch (error) {
    const left = `cleaning up failed too: ${podFailure(pod, error).error}; polynic play --down tries again`;
    return { pod, failure: { ...failure, error: `${failure.error}; ${left}` }, isGone: false };
  }
}

function isSame(a: PodIdentity, b: PodIdentity): boolean {
  return a.namespace === b.namespace && a.name === b.name;
}
