// `npm run bench -- sandbox`: what a pod's networks cost on a node, polynic beside Go Multus with the Go plugins, on one containerd and one
// API server in turn; writes docs/performance-node.md.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ApiServer, startApiServer } from "../test/kit/api-server.ts";
import { cgroupEnvironment, removeCgroups } from "../test/kit/cgroups.ts";
import { kubeconfig, prepareCluster } from "../test/kit/cluster.ts";
import { polynicBin } from "../test/kit/cni-caller.ts";
import { runCommand } from "../test/kit/command.ts";
import { CriNode, type CriPod } from "../test/kit/cri-node.ts";
import { busybox, containerd, ensureProgram, etcd, runc } from "../test/kit/debian-program.ts";
import { isolated } from "../test/kit/isolation.ts";
import { KubeAdmin } from "../test/kit/kube-admin.ts";
import { buildPeers, peerTools } from "../test/kit/peer-tools.ts";
import { describeMachine } from "./machine.ts";

const insideMark = "POLYNIC_BENCH_INSIDE";
const metrics = "127.0.0.1:1338";
const master = "nic0";
/** How long containerd may take to see another config. */
const settleMs = 500;
const ticksPerSecond = 100;
const triesMax = 20;

const networkCounts = [0, 1, 4] as const;
/** How many pods at once, and how often. */
const loads = [
  { atOnce: 1, rounds: 10 },
  { atOnce: 10, rounds: 3 },
  { atOnce: 50, rounds: 1 },
] as const;

type Side = "polynic" | "multus";

/** Sums over all pods of one load. */
interface Cost {
  readonly addMs: number;
  readonly delMs: number;
  readonly cpuMs: number;
  readonly pods: number;
  /** Sandboxes that were refused and tried again. */
  readonly refused: number;
}

function say(line: string): void {
  process.stderr.write(`polynic: ${line}\n`);
}

async function main(): Promise<number> {
  if (process.env[insideMark] === undefined) {
    for (const group of ["plugins", "kubernetes", "cri"] as const) await buildPeers(say, group);
    for (const program of [etcd, containerd, runc, busybox]) {
      const problem = ensureProgram(program, say);
      if (problem !== undefined) throw new Error(problem);
    }
    const child = Bun.spawn(isolated([process.execPath, import.meta.filename], "node"), {
      env: { ...process.env, ...cgroupEnvironment(), [insideMark]: "1" },
      stdio: ["ignore", "inherit", "inherit"],
    });
    const code = await child.exited;
    removeCgroups();
    return code;
  }
  await using node = new CriNode();
  runCommand(["ip", "link", "add", master, "type", "veth", "peer", "name", `${master}-peer`]);
  for (const end of [master, `${master}-peer`]) runCommand(["ip", "link", "set", end, "up"]);
  await node.start({ metricsAddress: metrics });
  const api = await startApiServer(node.path("api"));
  try {
    const table = await measureAll(node, api);
    process.stdout.write(table);
    writeFileSync(join(import.meta.dirname, "..", "docs", "performance-node.md"), page(table));
  } finally {
    await api.stop();
  }
  return 0;
}

async function measureAll(node: CriNode, api: ApiServer): Promise<string> {
  await prepareCluster(api);
  const admin = new KubeAdmin(api);
  await prepareSides(node, api, admin);
  const lines: string[] = [];
  for (const networks of networkCounts) {
    for (const { atOnce, rounds } of loads) {
      const costs: Record<Side, Cost[]> = { multus: [], polynic: [] };
      for (let round = 0; round < rounds; round++) {
        for (const side of ["multus", "polynic"] as const) {
          await use(node, side);
          costs[side].push(await measure(node, admin, networks, atOnce));
        }
      }
      lines.push(row(networks, atOnce, sum(costs.polynic), sum(costs.multus)));
      say(lines.at(-1) ?? "");
    }
  }
  return `${heading}${lines.join("\n")}\n`;
}

/** Both programs, each with the rights of its own manifest, and four networks of type macvlan with host-local. */
async function prepareSides(node: CriNode, api: ApiServer, admin: KubeAdmin): Promise<void> {
  const executables = { polynic: join(polynicBin, "polynic"), multus: join(peerTools().bin, "multus") };
  runCommand(["ln", "-s", executables.polynic, node.path("bin/multus")]);
  runCommand(["ln", "-s", executables.multus, node.path("bin/go-multus")]);
  runCommand(["ln", "-s", join(peerTools().bin, "macvlan"), node.path("bin/macvlan")]);
  for (const side of ["polynic", "multus"] as const) {
    const token = await admin.token("kube-system", side);
    node.write(
      `${side}.kubeconfig`,
      kubeconfig({ server: `https://127.0.0.1:${api.port}`, ca: api.ca, user: { token } }),
    );
  }
  for (let index = 0; index < Math.max(...networkCounts); index++) {
    const ipam = { type: "host-local", ranges: [[{ subnet: `10.9${index}.0.0/16` }]] };
    await admin.create({
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { name: `lan${index}`, namespace: "default" },
      spec: { config: JSON.stringify({ cniVersion: "1.0.0", name: `lan${index}`, type: "macvlan", master, ipam }) },
    });
  }
}

/** Puts one side's config into place and waits until containerd has it. */
async function use(node: CriNode, side: Side): Promise<void> {
  const delegates = [JSON.parse(readFileSync(node.path("net.d/10-primary.conflist"), "utf8")) as object];
  const plugin = {
    type: side === "polynic" ? "multus" : "go-multus",
    kubeconfig: node.path(`${side}.kubeconfig`),
    binDir: node.path("bin"),
    cniDir: node.path(`cni-${side}`),
    logFile: node.path(`${side}.log`),
    logToStderr: false,
    delegates,
  };
  node.write("net.d/00-multus.conflist", { cniVersion: "1.0.0", name: "multus-cni-network", plugins: [plugin] });
  await Bun.sleep(settleMs);
}

let count = 0;
let refusals = 0;

/** Makes pods at once and deletes them at once. */
async function measure(node: CriNode, admin: KubeAdmin, networks: number, atOnce: number): Promise<Cost> {
  const value = Array.from({ length: networks }, (_, index) => `lan${index}`).join(",");
  const objects = await Promise.all(
    Array.from({ length: atOnce }, () =>
      admin.create({
        apiVersion: "v1",
        kind: "Pod",
        metadata: {
          name: `pod-${count++}`,
          namespace: "default",
          annotations: { "k8s.v1.cni.cncf.io/networks": value },
        },
        spec: { nodeName: "node1", containers: [{ name: "main", image: "none" }] },
      }),
    ),
  );
  const before = await readings(node);
  refusals = 0;
  const pods = await Promise.all(
    objects.map(({ metadata: { name = "", namespace = "", ...rest } }) =>
      asKubelet(async () => await node.runSandbox({ name, namespace, uid: String(rest["uid"]) })),
    ),
  );
  await Promise.all(pods.map(async (pod: CriPod) => await node.removePod(pod)));
  const after = await readings(node);
  for (const object of objects) await admin.delete(object);
  if (after.addMs === before.addMs)
    throw new Error("containerd tells nothing of its CNI calls: another version than 1.6 or 1.7?");
  return {
    addMs: after.addMs - before.addMs,
    delMs: after.delMs - before.delMs,
    cpuMs: after.cpuMs - before.cpuMs,
    pods: atOnce,
    refused: refusals,
  };
}

/** Tries again, as kubelet does: on a busy machine Multus gives up on an API server that takes more than a quarter of a second. */
async function asKubelet(run: () => Promise<CriPod>): Promise<CriPod> {
  for (let left = triesMax; ; left--) {
    try {
      return await run();
    } catch (error) {
      if (left === 0) throw error;
      refusals++;
      await Bun.sleep(settleMs);
    }
  }
}

interface Readings {
  readonly addMs: number;
  readonly delMs: number;
  readonly cpuMs: number;
}

/** containerd's own histogram of its CNI calls, and the processor time of all children that it has waited for. */
async function readings(node: CriNode): Promise<Readings> {
  const text = await (await fetch(`http://${metrics}/v1/metrics`)).text();
  // Absent before the first pod.
  const sumOf = (operation: string): number => {
    const line = new RegExp(`network_plugin_operations_duration_seconds\\w*_sum\\{[^}]*"${operation}"[^}]*\\} (\\S+)`);
    return Number(line.exec(text)?.[1] ?? 0) * 1000;
  };
  const fields = readFileSync(`/proc/${node.runtime.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  // proc(5): cutime and cstime are fields 16 and 17, of which the first two stand before the name's end.
  const cpuMs = ((Number(fields[13]) + Number(fields[14])) * 1000) / ticksPerSecond;
  return { addMs: sumOf("set_up_pod"), delMs: sumOf("tear_down_pod"), cpuMs };
}

function sum(costs: readonly Cost[]): Cost {
  const total = (key: keyof Cost): number => costs.reduce((all, cost) => all + cost[key], 0);
  return {
    addMs: total("addMs"),
    delMs: total("delMs"),
    cpuMs: total("cpuMs"),
    pods: total("pods"),
    refused: total("refused"),
  };
}

const heading = `| networks | pods at once | ADD ms (mean) | Multus | ratio | DEL ms per pod | Multus | ratio | CPU ms per pod | Multus | ratio | refused, Multus' |
|---|---|---|---|---|---|---|---|---|---|---|---|
`;

function row(networks: number, atOnce: number, ours: Cost, theirs: Cost): string {
  const cells = (["addMs", "delMs", "cpuMs"] as const).flatMap((key) => {
    const [mine, other] = [ours[key] / ours.pods, theirs[key] / theirs.pods];
    return [mine.toFixed(1), other.toFixed(1), `${(mine / other).toFixed(2)}x`];
  });
  return `| ${[networks, atOnce, ...cells, `${ours.refused}, ${theirs.refused}`].join(" | ")} |`;
}

function page(table: string): string {
  return `# Performance on a node

\`npm run bench -- sandbox\` wrote this page: pod sandboxes through containerd, polynic and Go Multus (thin) with the Go plugins in turn, on one containerd
and one kube-apiserver. ADD is the mean of containerd's own histogram of its CNI calls; DEL is all of them for a pod, which containerd calls more than
once; CPU is that of all children that containerd has waited for, its own helpers for the sandbox among them, which are the same for both.
A sandbox that is refused is tried again, as kubelet does; the last column counts how often (on a busy machine Multus gives up on an API server that takes
more than a quarter of a second).
Networks are macvlan with host-local, besides the default one (bridge, host-local, portmap).

Machine: ${describeMachine()}

${table}`;
}

process.exit(await main());
