// A node that the dispatcher serves: manifests and state folders of its own, pods, calls as a runtime makes them, and what is left over.
import { chmodSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { beforeEach } from "vitest";
import { type PodState, readState } from "../../src/cluster/pod-state.ts";
import { callCni, type CniCall, type CniOutcome, polynicBin } from "./cni-caller.ts";
import { leftovers } from "./diff.ts";
import { useDisposable } from "./hooks.ts";
import { Lan, type NodeNetns, type PinnedNetns } from "./node-netns.ts";
import { type Snapshot, snapshot } from "./snapshot.ts";
import { type TemporaryFolder, temporaryFolder } from "./tmp.ts";
import { removeTree } from "./remove-tree.ts";

/** A site for all tests of a file, its folder empty at the beginning of each. */
export function useSite(): () => MultusSite {
  const site = useDisposable(() => new MultusSite());
  beforeEach(() => site().clear());
  return site;
}

/** A config, of the dispatcher or of a network. */
export type Json = Readonly<Record<string, unknown>>;

export interface SitePod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** CNI_CONTAINERID. */
  readonly containerId: string;
  readonly netns: PinnedNetns;
}

export interface SiteCall {
  /** Laid over `MultusSite.conf`; a text is sent as it is. */
  readonly conf?: Json | string;
  readonly containerId?: string;
  /** CNI_NETNS instead of the pod's path. */
  readonly netns?: string;
  readonly ifName?: string;
  /** CNI_ARGS instead of the pod's identity. */
  readonly args?: string;
  /** Folder of the executable instead of ours. */
  readonly bin?: string;
}

const uidOf = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

/** What goes by itself: host-local's own files with the network, and the mark of a container that was deleted with the hour. */
const notThePods = /(?:^|\/)(?:lock|last_reserved_ip\.\d+|\.settled\/\d+\/[^/]+)$/;

export class MultusSite implements Disposable {
  readonly folder: TemporaryFolder = temporaryFolder();
  readonly #lan = new Lan();
  #pods = 0;

  constructor() {
    this.clear();
  }

  /** Removes everything from the folder, so that a test finds nothing of those before it; the node and its pods stay. */
  clear(): void {
    removeTree(this.folder.path);
    this.folder.write("bin/.keep", "");
    this.folder.write("manifests/.keep", "");
  }

  get node(): NodeNetns {
    return this.#lan.node();
  }

  /** Path of a file or folder of this site. */
  path(...names: string[]): string {
    return join(this.folder.path, ...names);
  }

  /** The dispatcher's config: the default network is a macvlan with host-local. */
  conf(over: Json = {}): Json {
    return {
      cniVersion: "1.1.0",
      name: "multi",
      type: "multus",
      manifests: this.path("manifests"),
      cniDir: this.path("cni"),
      confDir: this.path("net.d"),
      binDir: this.path("bin"),
      logFile: "",
      delegates: [this.macvlan("default-net", "10.1.0.0/16", { ipam: { routes: [{ dst: "0.0.0.0/0" }] } })],
      ...over,
    };
  }

  /** A macvlan on eth0 with host-local; `over` is laid over it, `over.ipam` over its ipam. */
  macvlan(name: string, subnet: string, over: Json = {}): Json {
    const { ipam = {}, ...rest } = over as { ipam?: Json };
    return {
      cniVersion: "1.1.0",
      name,
      type: "macvlan",
      master: "eth0",
      ...rest,
      ipam: { type: "host-local", dataDir: this.path("leases"), ranges: [[{ subnet }]], ...ipam },
    };
  }

  /** Writes a NetworkAttachmentDefinition. */
  network(
    name: string,
    config: Json | string,
    namespace = "default",
    annotations: Readonly<Record<string, string>> = {},
  ): void {
    this.folder.write(`manifests/nad-${namespace}-${name}.json`, {
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { namespace, name, annotations },
      spec: config === "" ? {} : { config: typeof config === "string" ? config : JSON.stringify(config) },
    });
  }

  /** Writes a pod and makes its sandbox. `networks` is the annotation's value; anything but a text is written as JSON. */
  pod(networks: unknown = "", more: Readonly<Record<string, string>> = {}, namespace = "default"): SitePod {
    const number = this.#pods++;
    const pod = {
      namespace,
      name: `pod-${number}`,
      uid: uidOf(number),
      containerId: `c${number}-${this.folder.path.slice(-6)}`,
      netns: this.node.pod(),
    };
    this.annotate(pod, networks, more);
    return pod;
  }

  /** Writes the pod's manifest anew. */
  annotate({ namespace, name, uid }: SitePod, networks: unknown, more: Readonly<Record<string, string>> = {}): void {
    const value = typeof networks === "string" ? networks : JSON.stringify(networks);
    this.folder.write(`manifests/pod-${namespace}-${name}.json`, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace, name, uid, annotations: { "k8s.v1.cni.cncf.io/networks": value, ...more } },
    });
  }

  /** An executable in `binDir` that stands for a foreign plugin. */
  script(name: string, ...lines: string[]): void {
    chmodSync(this.folder.write(`bin/${name}`, ["#!/bin/sh", ...lines, ""].join("\n")), 0o755);
  }

  call(command: string, pod: SitePod, over: SiteCall = {}): Promise<CniOutcome> {
    return callCni(this.cniCall(command, pod, over));
  }

  /** The call as a value, for `fault.ts`. */
  cniCall(command: string, pod: SitePod, over: SiteCall = {}): CniCall {
    const { conf = {} } = over;
    const isAttachment = command !== "GC" && command !== "STATUS";
    return {
      executable: join(over.bin ?? polynicBin, "multus"),
      command,
      config: typeof conf === "string" ? conf : this.conf(conf),
      node: this.node,
      path: over.bin ?? this.path("none"),
      ...(isAttachment && {
        containerId: over.containerId ?? pod.containerId,
        netns: over.netns ?? pod.netns.path,
        ifName: over.ifName ?? "eth0",
        args: over.args ?? argsOf(pod),
      }),
    };
  }

  /** What the cluster keeps about the pod; undefined when nothing was written. */
  state({ namespace, name }: SitePod): PodState | undefined {
    return readState(this.path("manifests", ".state", "pods", namespace, `${name}.yaml`));
  }

  /** The value of the network-status annotation as JSON; undefined when there is none. */
  status(pod: SitePod): Json[] | undefined {
    const text = this.statusText(pod);
    return text === undefined ? undefined : (JSON.parse(text) as Json[]);
  }

  statusText(pod: SitePod): string | undefined {
    return this.state(pod)?.annotations["k8s.v1.cni.cncf.io/network-status"];
  }

  /** "Warning FailedToAttach <message>", oldest first. */
  events(pod: SitePod): string[] {
    return (this.state(pod)?.events ?? []).map(({ type, reason, message }) => `${type} ${reason} ${message}`);
  }

  /** Paths of all files below a folder of the site, without those that stay when a pod goes. */
  files(folder: string): string[] {
    const root = this.path(folder);
    if (!existsSync(root)) return [];
    return readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)))
      .filter((path) => !notThePods.test(path))
      .sort();
  }

  /** The addresses that are leased: "<network>/<address>". */
  leases(): string[] {
    return this.files("leases").filter((path) => !path.includes("/.polynic/"));
  }

  /** Lets host-local begin with the first address again. */
  forgetLeases(): void {
    removeTree(this.path("leases"));
  }

  /** The journal of a container as JSON; undefined when there is none. */
  journal({ containerId }: SitePod): Json[] | undefined {
    const path = this.path("cni", containerId);
    return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Json[]) : undefined;
  }

  /** Kernel state of the node and of those pods that still exist. */
  kernel(...pods: readonly SitePod[]): Record<string, Snapshot> {
    const all = pods.filter(({ netns }) => netns.exists()).map(({ name, netns }) => [name, snapshot(netns.path)]);
    return { node: snapshot(this.node.path), ...(Object.fromEntries(all) as Record<string, Snapshot>) };
  }

  /** What is there that was not before: kernel objects, and any lease, journal, result, lock or temporary file at all. */
  remains(before: Readonly<Record<string, Snapshot>>, ...pods: readonly SitePod[]): string[] {
    return [
      ...leftovers(before, this.kernel(...pods)),
      ...this.files("cni").map((path) => `cni/${path}`),
      ...this.files("leases").map((path) => `leases/${path}`),
    ];
  }

  [Symbol.dispose](): void {
    this.#lan[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}

/** CNI_ARGS as containerd composes them. */
export function argsOf({ namespace, name, uid, containerId }: SitePod): string {
  return `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${containerId};K8S_POD_UID=${uid}`;
}

/** The error object that a failed call printed. */
export function errorOf({ result, stdout }: CniOutcome): { code: number; msg: string; details?: string } {
  const error = result as { code?: unknown; msg?: unknown } | undefined;
  if (typeof error?.code !== "number" || typeof error.msg !== "string") throw new Error(`no CNI error: ${stdout}`);
  return error as { code: number; msg: string; details?: string };
}
