// The programs that the node bench compares, on one node: each with its own kubeconfig, journal and log, one of them in force at a time.
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { agentSocket } from "../src/agent/protocol.ts";
import type { ApiServer } from "../test/kit/api-server.ts";
import { kubeconfig } from "../test/kit/cluster.ts";
import { polynicBin } from "../test/kit/cni-caller.ts";
import { runCommand } from "../test/kit/command.ts";
import type { CriNode } from "../test/kit/cri-node.ts";
import { type Daemon, endDaemons, startDaemon, waitForDaemons } from "../test/kit/daemon.ts";
import type { KubeAdmin } from "../test/kit/kube-admin.ts";
import { searchPath } from "../test/kit/packages.ts";
import { peerTools } from "../test/kit/peer-tools.ts";
import type { ProcessGroup } from "./process-group.ts";

/** Go Multus (thin) with the Go plugins; polynic as it comes; polynic with `polynic agent` on the node. */
export const sides = ["multus", "polynic", "agent"] as const;
export type Side = (typeof sides)[number];
export type Account = "multus" | "polynic";

const agentTimeoutMs = 60_000;
/** Where the socket is meanwhile that nobody is to find. */
const restingSocket = `${agentSocket}.resting`;
/** How long containerd may take to see another config, on a machine with a lot to do. */
const configTimeoutMs = 60_000;
const pollMs = 50;
export const master = "nic0";

/** Whose rights and files a side has. */
export function accountOf(side: Side): Account {
  return side === "multus" ? "multus" : "polynic";
}

/** What containerd says of the configs that it has loaded. */
interface Info {
  readonly lastCNILoadStatus?: string;
  readonly cniconfig?: { readonly Networks?: readonly { readonly Config: { readonly Source: string } }[] };
}

export class NodeSides {
  /** The one in force. */
  #agent: Daemon | undefined;
  /** The one that lives as long as the bench, as a node's does; while others are measured nobody finds it. */
  #warm: Daemon | undefined;
  #agents = 0;

  constructor(private readonly node: CriNode) {}

  /** Links, credentials with the rights of each one's own manifest, and networks lan0, lan1, … of type macvlan with host-local. */
  async prepare(api: ApiServer, admin: KubeAdmin, networks: number): Promise<void> {
    const { node } = this;
    runCommand(["ip", "link", "add", master, "type", "veth", "peer", "name", `${master}-peer`]);
    for (const end of [master, `${master}-peer`]) runCommand(["ip", "link", "set", end, "up"]);
    mkdirSync(node.path("own"));
    runCommand(["ln", "-s", join(polynicBin, "polynic"), node.path("bin/multus")]);
    runCommand(["ln", "-s", join(peerTools().bin, "multus"), node.path("bin/go-multus")]);
    runCommand(["ln", "-s", join(peerTools().bin, "macvlan"), node.path("bin/macvlan")]);
    for (const account of ["polynic", "multus"] as const) {
      const token = await admin.token("kube-system", account);
      const server = `https://127.0.0.1:${api.port}`;
      node.write(`${account}.kubeconfig`, kubeconfig({ server, ca: api.ca, user: { token } }));
    }
    for (let index = 0; index < networks; index++) {
      const ipam = { type: "host-local", ranges: [[{ subnet: `10.9${index}.0.0/16` }]] };
      await admin.create({
        apiVersion: "k8s.cni.cncf.io/v1",
        kind: "NetworkAttachmentDefinition",
        metadata: { name: `lan${index}`, namespace: "default" },
        spec: { config: JSON.stringify({ cniVersion: "1.0.0", name: `lan${index}`, type: "macvlan", master, ipam }) },
      });
    }
  }

  /** Puts a side into force and waits until containerd has it. With a group all of its processes are in that, an agent of its own included. */
  async use(side: Side, group?: ProcessGroup): Promise<void> {
    const { node } = this;
    await this.rest();
    if (side === "agent") this.#agent = group === undefined ? await this.#wake() : await this.#startAgent(group);
    if (group !== undefined) this.#writeWrapper(side, group);
    const plugin = this.plugin(side, group !== undefined);
    const text = JSON.stringify({ cniVersion: "1.0.0", name: "multus-cni-network", plugins: [plugin] });
    // In one step: of a file that is half written containerd says that there is no network, and refuses pods. And within the folder: a file
    // that comes from elsewhere it does not notice.
    renameSync(node.write("net.d/conflist.new", text), node.path("net.d/00-multus.conflist"));
    await this.#untilLoaded(text);
  }

  async #untilLoaded(text: string): Promise<void> {
    const deadline = performance.now() + configTimeoutMs;
    for (;;) {
      const info = JSON.parse(await this.node.runtime.crictl("info")) as Info;
      if (info.cniconfig?.Networks?.some(({ Config }) => Config.Source === text)) return;
      if (performance.now() > deadline)
        throw new Error(`containerd has not loaded the config: ${info.lastCNILoadStatus}`);
      await Bun.sleep(pollMs);
    }
  }

  /** The config that a side's plugin is called with. */
  plugin(side: Side, isGrouped = false): Readonly<Record<string, unknown>> {
    const { node } = this;
    const account = accountOf(side);
    return {
      type: isGrouped ? "grouped" : commandOf(side),
      kubeconfig: node.path(`${account}.kubeconfig`),
      binDir: node.path("bin"),
      cniDir: node.path(`cni-${account}`),
      logFile: node.path(`${account}.log`),
      logToStderr: false,
      delegates: [JSON.parse(readFileSync(node.path("net.d/10-primary.conflist"), "utf8")) as object],
    };
  }

  /** How many calls the agent in force has done. */
  agentCalls(): number {
    return this.#agent === undefined ? 0 : readFileSync(this.#agent.log, "utf8").split("did a call").length - 1;
  }

  /** No agent is in force any more; one of a group has ended. */
  async rest(): Promise<void> {
    if (this.#agent === undefined) return;
    if (this.#agent === this.#warm) renameSync(agentSocket, restingSocket);
    else await endDaemons([this.#agent], "SIGTERM");
    this.#agent = undefined;
  }

  /** Ends every agent. */
  async end(): Promise<void> {
    await this.rest();
    if (this.#warm !== undefined) await endDaemons([this.#warm], "SIGTERM");
    this.#warm = undefined;
  }

  async #wake(): Promise<Daemon> {
    if (this.#warm === undefined) this.#warm = await this.#startAgent();
    else renameSync(restingSocket, agentSocket);
    return this.#warm;
  }

  async #startAgent(group?: ProcessGroup): Promise<Daemon> {
    const command = [join(polynicBin, "polynic"), "agent", "--log-level", "debug"];
    const daemon = startDaemon({
      folder: this.node.folder,
      name: `agent-${this.#agents++}`,
      command: group === undefined ? command : ["sh", "-c", `${group.joinScript}exec "$@"`, "sh", ...command],
      env: { PATH: searchPath },
    });
    const workersReady = (): number => readFileSync(daemon.log, "utf8").split("ready for calls").length - 1;
    const workers = (): number => Number(/ (\d+) workers/.exec(readFileSync(daemon.log, "utf8"))?.[1] ?? Infinity);
    await waitForDaemons([daemon], agentTimeoutMs, async () => existsSync(agentSocket) && workersReady() >= workers());
    return daemon;
  }

  /** A plugin that puts itself into the group and becomes the side's; under the name that the side answers to. */
  #writeWrapper(side: Side, group: ProcessGroup): void {
    const target = side === "multus" ? join(peerTools().bin, "multus") : join(polynicBin, "multus");
    const path = this.node.write("bin/grouped", `#!/bin/sh\n${group.joinScript}exec ${target}\n`);
    chmodSync(path, 0o755);
  }
}

/** Under which name the side's plugin lies in the folder of plugins. */
export function commandOf(side: Side): string {
  return side === "multus" ? "go-multus" : "multus";
}
