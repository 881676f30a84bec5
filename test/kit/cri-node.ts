// A node as a kubelet drives it, without the kubelet: containerd, a folder of CNI configs and one of plugins, pods, and what is left.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { busyboxImage } from "./busybox-image.ts";
import { laneCgroup } from "./cgroups.ts";
import { polynicBin } from "./cni-caller.ts";
import { runCommand } from "./command.ts";
import { Containerd } from "./containerd.ts";

type Json = Readonly<Record<string, unknown>>;

export interface CriPod {
  readonly name: string;
  /** The sandbox, which is CNI_CONTAINERID. */
  readonly id: string;
}

const uidOf = (number: number): string => `00000000-0000-4000-9000-${String(number).padStart(12, "0")}`;

/** Files that belong to a network or to the node and not to any pod. */
const notThePods = /(?:^|\/)(?:lock|last_reserved_ip\.\d+|\.polynic\/\d+|\.settled\/\d+\/[^/]+)$/;

export class CriNode implements AsyncDisposable {
  /** In the lane's own /var/lib, so that nothing is left of it even when the lane is killed. */
  readonly folder = mkdtempSync("/var/lib/polynic-node-");
  #runtime: Containerd | undefined;
  #pods = 0;

  /** A node with one CNI config, `primary`, and no plugin; nothing runs yet. */
  constructor(primary: Json = primaryNetwork()) {
    for (const name of ["net.d", "bin", "manifests", "pods", "logs"]) mkdirSync(this.path(name));
    this.write("net.d/10-primary.conflist", primary);
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** Writes a file below the node's folder; objects are written as JSON. */
  write(name: string, content: string | Json): string {
    const file = this.path(name);
    writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
    return file;
  }

  /** Links plugins of ours into the node's folder of plugins, by the names that they are called by. */
  linkPlugins(...names: readonly string[]): void {
    for (const name of names) symlinkSync(join(polynicBin, name), this.path("bin", name));
  }

  /** Puts the dispatcher in front of the primary network by hand. */
  useDispatcher(over: Json = {}): void {
    const delegates = [JSON.parse(readFileSync(this.path("net.d/10-primary.conflist"), "utf8")) as Json];
    const capabilities = { portMappings: true };
    const state = { manifests: this.path("manifests"), cniDir: this.path("cni"), logFile: this.path("multus.log") };
    this.write("net.d/00-multus.conflist", {
      cniVersion: "1.0.0",
      name: "multus-cni-network",
      plugins: [
        { type: "multus", capabilities, binDir: this.path("bin"), ...state, logLevel: "verbose", delegates, ...over },
      ],
    });
  }

  get runtime(): Containerd {
    if (this.#runtime === undefined) throw new Error("the node was not started");
    return this.#runtime;
  }

  async start(): Promise<void> {
    const folder = this.path("containerd");
    this.#runtime = await Containerd.start({ folder, confDir: this.path("net.d"), binDir: this.path("bin") });
  }

  /** Writes a NetworkAttachmentDefinition of namespace default. */
  network(name: string, config: Json): void {
    this.write(`manifests/nad-${name}.json`, {
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { namespace: "default", name },
      spec: { config: JSON.stringify(config) },
    });
  }

  /** Writes a pod and has its sandbox made. `networks` is the annotation's value. */
  async runPod(networks = ""): Promise<CriPod> {
    const number = this.#pods++;
    const name = `pod-${number}`;
    const metadata = { namespace: "default", name, uid: uidOf(number) };
    const annotations = networks === "" ? {} : { "k8s.v1.cni.cncf.io/networks": networks };
    this.write(`manifests/${name}.json`, { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, annotations } });
    this.write(`pods/${name}.json`, {
      metadata: { ...metadata, attempt: 0 },
      log_directory: this.path("logs"),
      linux: { cgroup_parent: `${laneCgroup()}/${name}`, security_context: { namespace_options: { network: 0 } } },
    });
    const id = (await this.runtime.crictl("runp", this.path(`pods/${name}.json`))).trim();
    return { name, id };
  }

  /** Starts a container in the pod that waits until it is told to end; returns its id. */
  async runContainer({ name, id }: CriPod): Promise<string> {
    const config = this.write(`pods/${name}-main.json`, {
      metadata: { name: "main", attempt: 0 },
      image: { image: busyboxImage },
      command: ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"],
      log_path: `${name}-main.log`,
      linux: {},
    });
    const container = (await this.runtime.crictl("create", id, config, this.path(`pods/${name}.json`))).trim();
    await this.runtime.crictl("start", container);
    return container;
  }

  /** Runs a command in a container and returns what it prints. */
  async exec(container: string, ...command: readonly string[]): Promise<string> {
    return await this.runtime.crictl("exec", "--sync", container, ...command);
  }

  /** Stops and removes the pod's sandbox with all in it, as kubelet does after a pod was deleted. */
  async removePod({ name, id }: CriPod): Promise<void> {
    await this.runtime.crictl("stopp", id);
    await this.runtime.crictl("rmp", id);
    rmSync(this.path(`manifests/${name}.json`));
  }

  /** State of a pod: "SANDBOX_READY", "SANDBOX_NOTREADY". */
  async state({ id }: CriPod): Promise<string> {
    const { status } = JSON.parse(await this.runtime.crictl("inspectp", id)) as { status: { state: string } };
    return status.state;
  }

  /** Ids of all sandboxes that containerd knows. */
  async sandboxes(): Promise<string[]> {
    return (await this.runtime.crictl("pods", "--quiet", "--no-trunc")).split("\n").filter((line) => line !== "");
  }

  /** What of pods is still there: namespaces, links of theirs on the node, files of ours, masquerading of theirs. Empty when nothing is. */
  remains(): string[] {
    const namespaces = existsSync("/run/netns") ? readdirSync("/run/netns").map((name) => `netns ${name}`) : [];
    const links = runCommand(["ip", "-o", "link", "show", "type", "veth"]).split("\n");
    const files = [this.path("cni"), "/var/lib/cni"].flatMap(filesBelow).filter((name) => !notThePods.test(name));
    const rules = runCommand(["iptables-save", "-t", "nat"])
      .split("\n")
      .filter((line) => line.startsWith("-A CNI-"));
    return [
      ...namespaces,
      ...links.filter((line) => line !== "").map((line) => `link ${line.split(":")[1]?.trim()}`),
      ...files.map((path) => `file ${path}`),
      ...rules.map((rule) => `rule ${rule}`),
    ];
  }

  /** Keeps the logs where they outlive the lane, for a failed test. */
  keepLogs(): string {
    const kept = mkdtempSync("/tmp/polynic-cri-logs-");
    for (const name of ["containerd/containerd.log", "multus.log"])
      if (existsSync(this.path(name))) cpSync(this.path(name), join(kept, name.split("/").at(-1) ?? ""));
    return kept;
  }

  /** Ends every pod and containerd; its folder goes with the lane. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#runtime === undefined) return;
    await this.#runtime.crictl("rmp", "--all", "--force").catch(() => "");
    await this.#runtime.stop("SIGKILL");
  }
}

/** A bridge with a /16 for pods: what a cluster has before Multus comes. */
export function primaryNetwork(): Json {
  const ipam = { type: "host-local", ranges: [[{ subnet: "10.77.0.0/16" }]], routes: [{ dst: "0.0.0.0/0" }] };
  return {
    cniVersion: "1.0.0",
    name: "primary",
    plugins: [
      { type: "bridge", bridge: "cni0", isGateway: true, ipMasq: true, hairpinMode: true, ipam },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
