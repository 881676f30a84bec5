// Nodes and pods as network namespaces, pinned under /run/netns as container runtimes pin theirs.
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { threadId } from "node:worker_threads";
import { Netns } from "../../src/netns/netns.ts";
import { createNetns, deleteNetns } from "../../src/netns/pin.ts";
import { writeSysctl, writeSysctls } from "../../src/netns/sysctl.ts";
import { setLink } from "../../src/rtnl/link-change.ts";
import { runCommand } from "./command.ts";

const folder = "/run/netns";
const prefix = "polynic";
const discardPort = 9;
const answerTimeoutSeconds = 4;
let count = 0;
let isSwept = false;

/** A pinned network namespace with a name of its own; gone when disposed of, with every link in it. */
export class PinnedNetns implements Disposable {
  readonly name: string;
  readonly path: string;

  constructor(role: string) {
    sweepOnce();
    // Names say which process made them, so that a later run can tell leftovers of a dead one from a neighbour's.
    this.name = `${prefix}-${process.pid}-${threadId}-${count++}-${role}`;
    this.path = `${folder}/${this.name}`;
    // Not by a program: tests make thousands, and in a guest each program costs as much as twenty namespaces.
    createNetns(this.path)[Symbol.dispose]();
  }

  /** Runs a command inside and returns its output; throws with its standard error when it fails. */
  run(...command: string[]): string {
    return runCommand(command, { netns: this.path });
  }

  /** Runs iproute2 batch lines inside (`link add …`, `addr add …`), all in one process; the first failing line throws. */
  ip(...lines: string[]): void {
    runCommand(["ip", "-n", this.name, "-batch", "-"], { stdin: `${lines.join("\n")}\n` });
  }

  /** Sets interfaces up. */
  up(...names: readonly string[]): void {
    using netns = Netns.open(this.path);
    netns.rtnl.run(...names.map((name) => setLink(name, { up: true })));
  }

  /** True when a host at that address (either family) answers: a refused TCP connection is an answer too, so nobody has to listen. */
  reaches(address: string): boolean {
    const attempt = `timeout ${answerTimeoutSeconds} bash -c 'exec 3<>/dev/tcp/${address}/${discardPort}'`;
    return this.run("sh", "-c", `LC_ALL=C ${attempt} 2>&1 || true`).includes("Connection refused");
  }

  /** True while the namespace is pinned: a test may have deleted it on purpose. */
  exists(): boolean {
    return existsSync(this.path);
  }

  [Symbol.dispose](): void {
    deleteNetns(this.path);
  }
}

/** What stands for a node: loopback is up, nothing is forwarded, pods are made from it and go with it. */
export class NodeNetns extends PinnedNetns {
  readonly #pods: PinnedNetns[] = [];

  constructor() {
    super("node");
    this.up("lo");
    using netns = Netns.open(this.path);
    // A new namespace takes IPv4's switch after the machine, and many machines forward.
    writeSysctl(netns, "net/ipv4/ip_forward", "0");
  }

  /** A fresh pod sandbox: an empty namespace with loopback down, as runtimes hand it to CNI. */
  pod(): PinnedNetns {
    const pod = new PinnedNetns("pod");
    this.#pods.push(pod);
    return pod;
  }

  /** The pods made so far that still exist. */
  pods(): PinnedNetns[] {
    return this.#pods.filter((pod) => pod.exists());
  }

  override [Symbol.dispose](): void {
    for (const pod of this.#pods) pod[Symbol.dispose]();
    super[Symbol.dispose]();
  }
}

export interface LanOptions {
  readonly nodes?: number;
  readonly mtu?: number;
}

/** Nodes joined by one switch: each has `eth0`, a veth whose other end is a bridge port in a namespace that stands for the switch. */
export class Lan implements Disposable {
  readonly nodes: readonly NodeNetns[];
  readonly #switch = new PinnedNetns("switch");

  constructor(options: LanOptions = {}) {
    const mtu = options.mtu ?? 1500;
    this.nodes = Array.from({ length: options.nodes ?? 1 }, () => new NodeNetns());
    // No spanning tree and no forward delay: a port forwards as soon as it is up. IPv6 off: the switch is not a host of the LAN.
    const links = [
      `link add lan0 mtu ${mtu} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      "link set lan0 up",
      ...this.nodes.flatMap((node, index) => [
        `link add port${index} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${node.name}`,
        `link set port${index} master lan0 up`,
      ]),
    ];
    using netns = Netns.open(this.#switch.path);
    writeSysctls(netns, [
      ["net/ipv6/conf/all/disable_ipv6", "1"],
      ["net/ipv6/conf/default/disable_ipv6", "1"],
    ]);
    this.#switch.ip(...links);
    for (const node of this.nodes) node.up("eth0");
  }

  /** The node at this position; throws when the LAN has fewer. */
  node(index = 0): NodeNetns {
    const node = this.nodes[index];
    if (node === undefined) throw new RangeError(`the LAN has ${this.nodes.length} nodes, no node ${index}`);
    return node;
  }

  [Symbol.dispose](): void {
    for (const node of this.nodes) node[Symbol.dispose]();
    this.#switch[Symbol.dispose]();
  }
}

/** Deletes what test processes that are no more have left pinned; once per process is enough. */
function sweepOnce(): void {
  if (isSwept) return;
  isSwept = true;
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    const owner = new RegExp(`^${prefix}-(\\d+)-`).exec(name)?.[1];
    if (owner !== undefined && !isAlive(Number(owner))) deleteNetns(`${folder}/${name}`);
  }
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}
