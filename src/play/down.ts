import { statusIfExists } from "../libc/file.ts";
import { deleteNetns } from "../netns/pin.ts";
import { mapBounded } from "./bounded.ts";
import { ContainerRuntime } from "./container-runtime.ts";
import { moveToNodeOrNowhere } from "./node.ts";
import { readConf } from "./pod-conf.ts";
import { podFailure, type PodFailure } from "./pod-failure.ts";
import { millisecondsSince } from "./report.ts";
import { emptyRoot } from "./root.ts";
import { layout, lockRoot, type PlayedPod, readPlayState, writePlayState } from "./state.ts";

/** What `play --down` did. */
export interface DownReport {
  readonly pods: readonly { readonly namespace: string; readonly name: string; readonly milliseconds: number }[];
  /** Pods that are not gone; the next `play --down` tries again. */
  readonly failures: readonly PodFailure[];
}

const podsAtOnce = 8;

/**
 * Takes down every pod under a root: DEL as a runtime would, then its namespace. When none is left, the default network's bridge goes, and
 * all files. Where play has made nothing there is nothing to do. Moves the calling thread into the node's namespace.
 */
export async function playDown(root: string): Promise<DownReport> {
  if (readPlayState(root) === undefined) return { pods: [], failures: [] };
  using _lock = lockRoot(root);
  const state = readPlayState(root) ?? { node: "", pods: [] };
  moveToNodeOrNowhere(state.node);
  using runtime = new ContainerRuntime(root);
  const outcomes = await mapBounded(state.pods, podsAtOnce, (pod) => stopPod(runtime, pod));
  const left = outcomes.filter(({ failure }) => failure !== undefined).map(({ pod }) => pod);
  if (left.length > 0) writePlayState(root, { ...state, pods: left });
  else emptyRoot(root);
  return {
    pods: outcomes.flatMap(({ pod: { namespace, name }, milliseconds, failure }) =>
      failure === undefined ? [{ namespace, name, milliseconds }] : [],
    ),
    failures: outcomes.flatMap(({ failure }) => failure ?? []),
  };
}

interface Stopped {
  readonly pod: PlayedPod;
  readonly milliseconds: number;
  readonly failure?: PodFailure;
}

async function stopPod(runtime: ContainerRuntime, pod: PlayedPod): Promise<Stopped> {
  const began = performance.now();
  try {
    const conf = layout.conf(runtime.root, pod.play);
    // Without it the play was interrupted before anything was attached.
    if (statusIfExists(conf) !== undefined) await runtime.del(pod, readConf(conf));
    deleteNetns(pod.netns);
    return { pod, milliseconds: millisecondsSince(began) };
  } catch (error) {
    return { pod, milliseconds: millisecondsSince(began), failure: podFailure(pod, error) };
  }
}
