import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Netns } from "../src/netns/netns.ts";
import { callEnded, TestAgent } from "../test/kit/agent.ts";
import { Lan, type NodeNetns } from "../test/kit/node-netns.ts";
import { compileEmptyProgram } from "./empty-program.ts";
import { type Exec, measureInTurn, type Measures, type SideName, time, uncounted } from "./pair.ts";
import type { Row } from "./table.ts";

export const ourBin = join(import.meta.dirname, "..", "dist", "bin");
const pairsOfStart = 60;
export const pairsOfVerbs = 25;

interface PluginConf {
  readonly type: string;
  readonly ipam: object;
  readonly [key: string]: unknown;
}

export interface Case {
  readonly name: string;
  run(): Row[] | Promise<Row[]>;
}

/** Every case of the bench; `goBin` is the folder of the Go originals. */
export function cases(goBin: string): Case[] {
  return [
    { name: "process start", run: () => processStart(goBin) },
    plugin(goBin, "macvlan + host-local", { type: "macvlan", master: "eth0", ipam: hostLocal("10.201.0.0/16") }, 1),
    plugin(
      goBin,
      "bridge + host-local",
      { type: "bridge", bridge: "br-bench", isGateway: true, ipam: hostLocal("10.202.0.0/16") },
      1,
    ),
    ...[0, 1, 4, 10].map((count) => dispatcher(goBin, count)),
  ];
}

/** An IPAM section. */
export function hostLocal(subnet: string): object {
  return { type: "host-local", subnet };
}

async function processStart(goBin: string): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "polynic-bench-empty-"));
  try {
    return startBeside(goBin, await compileEmptyProgram(folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function startBeside(goBin: string, empty: string): Row[] {
  const version = (bin: string, name: string): Exec => ({
    command: [join(bin, name)],
    environment: { CNI_COMMAND: "VERSION" },
    stdin: "{}",
  });
  return (["multus", "macvlan", "host-local"] as const).map((name) => {
    const { ours, theirs } = measureInTurn(pairsOfStart, {
      theirs: () => [time(version(goBin, name))],
      ours: () => [time(version(ourBin, name)), time({ command: [empty], environment: {}, stdin: "" })],
    });
    return {
      what: `process start: ${name} VERSION`,
      ours: ours[0] ?? [],
      theirs: theirs[0] ?? [],
      floor: ours[1] ?? [],
      ...(name === "multus" ? { target: 0.5, targetMs: 5 } : {}),
    };
  });
}

/** ADD and DEL of one plugin called as libcni calls it, each side on a node and with leases of its own. */
function plugin(goBin: string, name: string, config: PluginConf, target: number): Case {
  return {
    name,
    run: async () =>
      (
        await withSides((side) => {
          const bin = side.isOurs ? ourBin : goBin;
          const netconf = { cniVersion: "1.0.0", name: "bench", ...config };
          const stdin = JSON.stringify({ ...netconf, ipam: { ...netconf.ipam, dataDir: join(side.folder, "leases") } });
          return (run) => addAndDel(side, run, join(bin, netconf.type), { CNI_PATH: bin }, stdin);
        })
      ).map((row) => ({ ...row, what: `${name}: ${row.what}`, target })),
  };
}

/** Multus with `count` networks beside a bridge default network: definitions from manifests for us, delegates of the config for Go. */
function dispatcher(goBin: string, count: number): Case {
  const name = `dispatcher, ${count} networks`;
  return {
    name,
    run: async () =>
      (
        await withSides((side) => {
          const networks = Array.from({ length: count }, (_, index) => ({
            cniVersion: "1.0.0",
            name: `net-${index}`,
            type: "macvlan",
            master: "eth0",
            ipam: { ...hostLocal(`10.${210 + index}.0.0/16`), dataDir: join(side.folder, "leases") },
          }));
          const first = {
            cniVersion: "1.0.0",
            name: "cluster",
            type: "bridge",
            bridge: "br-bench",
            isGateway: true,
            ipam: { ...hostLocal("10.203.0.0/16"), dataDir: join(side.folder, "leases") },
          };
          const config = {
            cniVersion: "1.0.0",
            name: "multus-cni-network",
            type: "multus",
            cniDir: join(side.folder, "multus"),
            logFile: "",
            binDir: side.isOurs ? ourBin : goBin,
          };
          const stdin = side.isOurs
            ? JSON.stringify({ ...config, manifests: writeManifests(side.folder, networks), delegates: [first] })
            : JSON.stringify({ ...config, delegates: [first, ...networks] });
          const bin = side.isOurs ? ourBin : goBin;
          const args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=bench";
          return (run) => addAndDel(side, run, join(bin, "multus"), { CNI_PATH: bin, CNI_ARGS: args }, stdin);
        })
      ).map((row) => ({ ...row, what: `${name}: ${row.what}`, ...(count === 4 ? { target: 0.35 } : {}) })),
  };
}

function writeManifests(folder: string, networks: readonly { readonly name: string }[]): string {
  const manifests = join(folder, "manifests");
  mkdirSync(manifests, { recursive: true });
  const documents: object[] = networks.map((network) => ({
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: { name: network.name, namespace: "default" },
    spec: { config: JSON.stringify(network) },
  }));
  const annotations = { "k8s.v1.cni.cncf.io/networks": networks.map(({ name }) => name).join(",") };
  documents.push({ apiVersion: "v1", kind: "Pod", metadata: { name: "bench", namespace: "default", annotations } });
  writeFileSync(join(manifests, "bench.yaml"), documents.map((document) => JSON.stringify(document)).join("\n---\n"));
  return manifests;
}

/** One side of a comparison: a node of its own and a folder for its state. */
export interface Side {
  readonly name: SideName;
  readonly isOurs: boolean;
  readonly node: NodeNetns;
  readonly folder: string;
  /** POLYNIC_AGENT: the socket of the side's agent, or "off". */
  readonly agent: string;
}

/** A runtime's call waits less, and is done by its own process then; here the wait counts, and no call is done but by the agent. */
const workerTimeoutMs = 1000;
const logTimeoutMs = 5000;
/** Of an agent whose call failed. */
const logLinesShown = 20;
const logPollMs = 20;
const sideNames = ["theirs", "ours", "agent"] as const;

/**
 * ADD and DEL of pods on these sides in turn; `prepare` gets a side ready and returns what measures one pod on it. Throws when a call of the
 * agent's side was not done by the agent.
 */
export async function withSides(
  prepare: (side: Side) => (run: number) => number[],
  names: readonly SideName[] = sideNames,
): Promise<Row[]> {
  using lan = new Lan({ nodes: sideNames.length });
  const folder = mkdtempSync(join(tmpdir(), "polynic-bench-"));
  // What it logs of a call it writes when the caller has its answer.
  await using agent = await TestAgent.start({ node: lan.node(sideNames.indexOf("agent")), folder, level: "debug" });
  try {
    const measures: Measures = Object.fromEntries(
      names.map((name, index) => {
        const socket = name === "agent" ? `${agent.socket},${workerTimeoutMs}` : "off";
        const side = {
          name,
          isOurs: name !== "theirs",
          node: lan.node(index),
          folder: join(folder, name),
          agent: socket,
        };
        mkdirSync(side.folder, { recursive: true });
        return [name, prepare(side)];
      }),
    );
    const taken = measureInTurn(pairsOfVerbs, measures);
    if (names.includes("agent")) await requireCalls(agent, 2 * (pairsOfVerbs + uncounted.agent));
    return ["ADD", "DEL"].map((what, step) => ({
      what,
      ours: taken.ours[step] ?? [],
      ...(names.includes("agent") ? { agent: taken.agent[step] ?? [] } : {}),
      theirs: taken.theirs[step] ?? [],
    }));
  } catch (error) {
    const last = agent.lines("").filter((line) => !line.includes(callEnded));
    process.stderr.write(`polynic: the agent's log but for its calls:\n${last.slice(-logLinesShown).join("\n")}\n`);
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Throws unless the agent has done so many calls: what its side took would be something else's otherwise. */
async function requireCalls(agent: TestAgent, wanted: number): Promise<void> {
  const deadline = performance.now() + logTimeoutMs;
  while (agent.calls() < wanted && performance.now() < deadline) await Bun.sleep(logPollMs);
  if (agent.calls() !== wanted) throw new Error(`the agent did ${agent.calls()} of ${wanted} calls`);
}

/** Wall milliseconds of ADD and of DEL for a fresh pod on the side's node. */
export function addAndDel(
  side: Side,
  run: number,
  executable: string,
  environment: Readonly<Record<string, string>>,
  stdin: string,
): number[] {
  const pod = side.node.pod();
  using node = Netns.open(side.node.path);
  const call = (verb: string): Exec => ({
    command: [executable],
    stdin,
    environment: {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: `bench-${run}`,
      CNI_NETNS: pod.path,
      CNI_IFNAME: "eth0",
      POLYNIC_AGENT: side.agent,
      ...environment,
    },
  });
  try {
    return node.enter(() => [time(call("ADD")), time(call("DEL"))]);
  } finally {
    pod[Symbol.dispose]();
  }
}
