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
import { laneCgroup, laneProcesses } from "./cgroups.ts";
import { polynicBin } from "./cni-caller.ts";
import { runCommand } from "./command.ts";
import { Containerd, type ContainerdOptions } from "./containerd.ts";
import { searchPath } from "./packages.ts";
import { peerTools } from "./peer-tools.ts";
import { removeTree } from "./remove-tree.ts";

type Json = Readonly<Record<string, unknown>>;

export interface CriPod {
  readonly name: string;
  /** The sandbox, which is CNI_CONTAINERID. */
  readonly id: string;
}

/** What a node has before Multus comes: the reference plugins in Go. */
export const primaryPlugins = ["bridge", "host-local", "loopback", "portmap"];

const pluginsTimeoutMs = 120_000;
const pollMs = 20;

const uidOf = (number: number): string => `00000000-0000-4000-9000-${String(number).padStart(12, "0")}`;

/** Files that belong to a network or to the node and not to any pod, and the runtime's own memory of its calls. */
const notThePods =
  /^\/var\/lib\/cni\/(?:results|polynic\/whereabouts\/(?:hints|seen))\/|(?:^|\/)(?:lock|last_reserved_ip\.\d+|\.polynic\/\d+|\.settled\/\d+\/[^/]+)$/;

export class CriNode implements AsyncDisposable {
  /** In the lane's own /var/lib, so that nothing is left of it even when the lane is killed. */
  readonly folder = mkdtempSync("/var/lib/polynic-node-");
  #runtime: Containerd | undefined;
  #pods = 0;

  /** A node with one CNI config, `primary`, and the Go `plugins` for it; nothing runs yet. */
  constructor(primary: Json = primaryNetwork(), plugins: readonly string[] = primaryPlugins) {
    // A file of tests that failed may have left something; the lane's /var/lib is one for all.
    removeTree("/var/lib/cni");
    for (const name of ["net.d", "bin", "manifests", "pods", "logs"]) mkdirSync(this.path(name));
    for (const name of plugins) symlinkSync(join(peerTools().bin, name), this.path("bin", name));
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

  /** Runs a verb of the executable that has to do with this node's folders (install, uninstall) and returns what it says. */
  async polynic(verb: string, ...args: readonly string[]): Promise<string> {
    const folders = [
      "--cni-bin-dir",
      this.path("bin"),
      "--cni-conf-dir",
      this.path("net.d"),
      "--cni-dir",
      this.path("cni"),
    ];
    const child = Bun.spawn([join(polynicBin, "polynic"), verb, ...folders, ...args], {
      env: { PATH: searchPath },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    if (child.exitCode !== 0) throw new Error(`polynic ${verb} ended with ${child.exitCode}: ${error}`);
    return out + error;
  }

  /** Puts polynic in front of the primary network, with pods and networks from the node's folder of manifests. */
  async install(...args: readonly string[]): Promise<string> {
    const log = ["--multus-log-file", this.path("multus.log"), "--multus-log-level", "verbose"];
    return await this.polynic("install", "--manifests", this.path("manifests"), ...log, "--plugins", "multus", ...args);
  }

  get runtime(): Containerd {
    if (this.#runtime === undefined) throw new Error("the node was not started");
    return this.#runtime;
  }

  async start(options: Pick<ContainerdOptions, "metricsAddress" | "programs"> = {}): Promise<void> {
    const folder = this.path("containerd");
    this.#runtime = await Containerd.start({
      ...options,
      folder,
      confDir: this.path("net.d"),
      binDir: this.path("bin"),
    });
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
    return await this.runSandbox(metadata);
  }

  /** Has the sandbox of a pod made that is known by its name, namespace and uid. */
  async runSandbox(metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
  }): Promise<CriPod> {
    const { name } = metadata;
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
    rmSync(this.path(`manifests/${name}.json`), { force: true });
  }

  /** State of a pod: "SANDBOX_READY", "SANDBOX_NOTREADY". */
  async state({ id }: CriPod): Promise<string> {
    const { status } = JSON.parse(await this.runtime.crictl("inspectp", id)) as { status: { state: string } };
    return status.state;
  }

  /** Removes all pods, tries that fail included: kubelet would go on until they are gone, too. */
  async removeEverything(): Promise<void> {
    for (const id of await this.sandboxes()) {
      await this.runtime.crictl("stopp", id);
      await this.runtime.crictl("rmp", id);
    }
  }

  /**
   * Path of the network namespace that has this IPv4 address. Throws when none has: with what went wrong in those that could not be looked into,
   * since a pod that is refused again and again has another one each time.
   */
  namespaceOf(address: string): string {
    const problems: string[] = [];
    for (const name of namespaces()) {
      const path = `/run/netns/${name}`;
      try {
        if (runCommand(["ip", "-4", "-o", "addr"], { netns: path }).includes(` ${address}/`)) return path;
      } catch (error) {
        problems.push(String(error));
      }
    }
    throw new Error([`no namespace has ${address}`, ...problems].join("; "));
  }

  /** Waits until no plugin runs any more: those that a runtime has started work on when it is killed. Throws after two minutes. */
  async untilPluginsEnd(): Promise<void> {
    const own = `${this.path("bin")}/`;
    const deadline = performance.now() + pluginsTimeoutMs;
    while (processes().some((pid) => commandOf(pid).startsWith(own))) {
      if (performance.now() > deadline) throw new Error(`a plugin of ${own} does not end`);
      await Bun.sleep(pollMs);
    }
  }

  /** IPv4 addresses of all pods, by their namespaces, without loopback's. */
  addresses(): string[] {
    const lines = namespaces().flatMap((name) =>
      runCommand(["ip", "-4", "-o", "addr", "show", "scope", "global"], { netns: `/run/netns/${name}` }).split("\n"),
    );
    return lines.flatMap((line) => / inet (\S+)\//.exec(line)?.[1] ?? []);
  }

  /** The dispatcher's config as it was installed. */
  dispatcherConf(): { readonly name: string; readonly plugins: readonly Json[] } {
    return JSON.parse(readFileSync(this.path("net.d/00-multus.conflist"), "utf8"));
  }

  /** Ids of all sandboxes that containerd knows. */
  async sandboxes(): Promise<string[]> {
    return (await this.runtime.crictl("pods", "--quiet", "--no-trunc")).split("\n").filter((line) => line !== "");
  }

  /**
   * What a power cut and a start leave: no process, no namespace, no link, nothing in the runtime's volatile state; what is on the disk,
   * the journal among it, stays. containerd runs again afterwards.
   */
  async reboot(): Promise<void> {
    await this.#cutPower();
    this.runtime.wipeState();
    await this.runtime.start();
  }

  async #cutPower(): Promise<void> {
    await this.runtime.stop("SIGKILL");
    for (const pid of [...shimsOf(this.folder), ...laneProcesses()]) kill(pid);
    for (const name of namespaces()) runCommand(["umount", "--lazy", `/run/netns/${name}`]);
    rmSync("/run/netns", { recursive: true, force: true });
    removeLinks();
  }

  /** What of pods is still there: namespaces, links of theirs on the node, files of ours, masquerading of theirs. Empty when nothing is. */
  remains(): string[] {
    const links = runCommand(["ip", "-o", "link", "show", "type", "veth"]).split("\n");
    const files = [this.path("cni"), "/var/lib/cni"].flatMap(filesBelow).filter((name) => !notThePods.test(name));
    const rules = runCommand(["iptables-save", "-t", "nat"])
      .split("\n")
      .filter((line) => line.startsWith("-A CNI-"));
    return [
      ...namespaces().map((name) => `netns ${name}`),
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
    await this.#cutPower();
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

function namespaces(): string[] {
  return existsSync("/run/netns") ? readdirSync("/run/netns") : [];
}

/** All but loopback; the kernel may be taking some away just now, with the namespaces of their pods. */
function removeLinks(): void {
  const names = runCommand(["ip", "-o", "link", "show"])
    .split("\n")
    .map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1]);
  const lines = names.filter((name) => name !== undefined && name !== "lo").map((name) => `link del ${name}\n`);
  runCommand(["sh", "-c", "ip -force -batch - || true"], { stdin: lines.join("") });
}

/** The shims of containers below a folder: each has its address or its bundle there. */
function shimsOf(folder: string): number[] {
  return processes().filter((pid) => {
    const command = commandOf(pid);
    return command.includes("containerd-shim") && command.includes(folder);
  });
}

/** Those of the lane. */
function processes(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It has just ended.
    return "";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
