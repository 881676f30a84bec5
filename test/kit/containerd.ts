// A real containerd with runc, its sockets and state below one folder, for pods through the container runtime interface.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { busyboxImage, writeBusyboxImage } from "./busybox-image.ts";
import { runCommand } from "./command.ts";
import { type Daemon, endDaemons, startDaemon, waitForDaemons } from "./daemon.ts";
import { containerd as containerdProgram, findProgram, runc } from "./debian-program.ts";
import { searchPath } from "./packages.ts";
import { peerTools } from "./peer-tools.ts";
import { mountsIn, removeTree } from "./remove-tree.ts";

const readyTimeoutMs = 300_000;
/** How long one call may take, as kubelet waits 2 minutes for a sandbox; many at once on a small machine take their time. */
const callTimeout = "600s";

export interface ContainerdOptions {
  /** Everything of it goes there; it must not be removed before `stop`. */
  readonly folder: string;
  /** Where it looks for CNI configs and plugins. */
  readonly confDir: string;
  readonly binDir: string;
  /** "127.0.0.1:1338": where it serves its metrics; nowhere when absent. */
  readonly metricsAddress?: string;
  /** Folder with another containerd, its shim and ctr in it; the Debian package's when absent. */
  readonly programs?: string;
}

export class Containerd {
  readonly socket: string;
  readonly #options: ContainerdOptions;
  #daemon: Daemon | undefined;

  private constructor(options: ContainerdOptions) {
    this.#options = options;
    this.socket = join(options.folder, "containerd.sock");
  }

  /** Starts it and imports the image of tests' pods. Throws with the end of its log when it does not come up. */
  static async start(options: ContainerdOptions): Promise<Containerd> {
    mkdirSync(options.folder, { recursive: true });
    const runtime = new Containerd(options);
    writeFileSync(runtime.#path("config.toml"), configText(options, runtime.socket));
    writeFileSync(runtime.#path("crictl.yaml"), crictlText(runtime.socket));
    await runtime.start();
    await runtime.importImage(writeBusyboxImage(options.folder));
    return runtime;
  }

  /** Makes the image of an archive known to pods. */
  async importImage(path: string): Promise<void> {
    await this.#run([this.#program("ctr"), "-a", this.socket, "-n", "k8s.io", "images", "import", path]);
  }

  /** Process id of the daemon. */
  get pid(): number {
    return this.#daemon?.process.pid ?? 0;
  }

  /** Path of its log. */
  get log(): string {
    return this.#path("containerd.log");
  }

  /** Starts it again after `stop`; pods that it had made are known to it from its folder. */
  async start(): Promise<void> {
    this.#daemon = startDaemon({
      folder: this.#options.folder,
      name: "containerd",
      command: [this.#program("containerd"), "--config", this.#path("config.toml")],
      env: { PATH: this.#commandPath() },
    });
    await waitForDaemons([this.#daemon], readyTimeoutMs, async () => await this.#isReady());
  }

  /** Ends the daemon; its shims, and with them all pods, go on. */
  async stop(signal: "SIGKILL" | "SIGTERM" = "SIGTERM"): Promise<void> {
    if (this.#daemon !== undefined) await endDaemons([this.#daemon], signal);
    this.#daemon = undefined;
  }

  /** Forgets what would be gone after a start of the machine, while it is stopped. */
  wipeState(): void {
    const state = this.#path("state");
    for (const mount of mountsIn(state)) runCommand(["umount", "--lazy", mount]);
    removeTree(state);
    rmSync(this.socket, { force: true });
  }

  /** Runs crictl and returns what it prints. Throws with what it complains about when it fails. */
  async crictl(...args: readonly string[]): Promise<string> {
    const tool = join(peerTools("cri").bin, "crictl");
    return await this.#run([tool, "--config", this.#path("crictl.yaml"), "--timeout", callTimeout, ...args]);
  }

  async #isReady(): Promise<boolean> {
    // "version" is answered once the plugin for the interface itself is up, which is later than the socket.
    return await this.crictl("version").then(
      () => true,
      () => false,
    );
  }

  async #run(command: readonly string[]): Promise<string> {
    const child = Bun.spawn([...command], {
      env: { PATH: this.#commandPath() },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    if (child.exitCode === 0) return out;
    throw new Error(`${command.slice(5).join(" ")} ended with ${child.exitCode}: ${error.trim()}`);
  }

  #path(name: string): string {
    return join(this.#options.folder, name);
  }

  /** Beside containerd lie ctr and the shim, which it looks for on the PATH. */
  #program(name: string): string {
    const path = findProgram(containerdProgram);
    const folder = this.#options.programs ?? (path === undefined ? undefined : dirname(path));
    if (folder === undefined) throw new Error("containerd is not there: `npm test -- cri` gets it");
    return join(folder, name);
  }

  #commandPath(): string {
    return `${dirname(this.#program("containerd"))}:${dirname(findProgram(runc) ?? "")}:${searchPath}`;
  }
}

/** The deepest first. */
function crictlText(socket: string): string {
  return `runtime-endpoint: unix://${socket}\nimage-endpoint: unix://${socket}\n`;
}

/** Version 2 of its config, which 1.x and 2.x read. Snapshotters and tracers that want more of the machine are left out. */
function configText({ folder, confDir, binDir, metricsAddress = "" }: ContainerdOptions, socket: string): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = ${JSON.stringify(join(folder, "root"))}
state = ${JSON.stringify(join(folder, "state"))}
disabled_plugins = [
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
  "io.containerd.nri.v1.nri",
]
[grpc]
  address = ${JSON.stringify(socket)}
[metrics]
  address = ${JSON.stringify(metricsAddress)}
  grpc_histogram = true
[plugins."io.containerd.internal.v1.opt"]
  path = ${JSON.stringify(join(folder, "opt"))}
[${cri}]
  sandbox_image = ${JSON.stringify(busyboxImage)}
  # runc may not lower the score without CAP_SYS_RESOURCE, which a machine of tests may lack.
  restrict_oom_score_adj = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [${cri}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [${cri}.containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = ${JSON.stringify(findProgram(runc) ?? "")}
  [${cri}.cni]
    bin_dir = ${JSON.stringify(binDir)}
    conf_dir = ${JSON.stringify(confDir)}
    max_conf_num = 1
`;
}
