import type { NetworkList } from "../cni/network-list.ts";
import { readJournal } from "../multus/journal.ts";
import { podInterface } from "./default-conf.ts";
import { type InterfaceReport, type NetworkOfInterface, reportInterfaces } from "./interface-report.ts";
import { describeChain, dispatcherConf } from "./pod-conf.ts";
import type { PodFailure } from "./pod-failure.ts";
import type { PlayedPod } from "./state.ts";

/** A pod that has its networks. */
export interface PodReport {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly containerId: string;
  readonly netns: string;
  /** From the start of the first plugin's process to the end of the last. */
  readonly milliseconds: number;
  readonly interfaces: readonly InterfaceReport[];
}

/** What became of the pods of a play, in the order of the manifests; each is in one of both lists. */
export interface PlayReport {
  readonly pods: readonly PodReport[];
  readonly failures: readonly PodFailure[];
  /**
   * What did not fail and is not what the manifests ask for: networks that nobody reads of, and what the play's own log has to say; a config of
   * the user's logs where that says.
   */
  readonly warnings: readonly string[];
}

/** Since `began` (of `performance.now`), to the tenth: what is behind it says nothing. */
export function millisecondsSince(began: number): number {
  return Math.round(10 * (performance.now() - began)) / 10;
}

/** What a pod has got: the kernel says what is there, the dispatcher's journal which network it came from. */
export function reportPod(pod: PlayedPod, list: NetworkList, milliseconds: number): PodReport {
  const { namespace, name, uid, containerId, netns } = pod;
  const interfaces = reportInterfaces(netns, networksOf(list, containerId));
  return { namespace, name, uid, containerId, netns, milliseconds, interfaces };
}

function networksOf(list: NetworkList, containerId: string): NetworkOfInterface[] {
  const conf = dispatcherConf(list);
  if (conf === undefined) return [{ ifName: podInterface, network: list.name, plugin: describeChain(list) }];
  const journal = readJournal(conf.cniDir, containerId, podInterface);
  if (journal.kind !== "present") return [];
  return journal.entries.map(({ ifName, name, list: chain }) => ({
    ifName,
    network: name,
    plugin: describeChain(chain),
  }));
}
