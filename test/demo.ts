// `npm run demo`: two nodes on a LAN, four pods, every network between them, and nothing left of it at the end.
import { join } from "node:path";
import { formatTable } from "../cmd/table.ts";
import { processTerminal } from "../cmd/terminal.ts";
import { playTable } from "../cmd/verbs/play.ts";
import type { PlayReport } from "../src/play/report.ts";
import { networkStatusKey } from "../src/cluster/port.ts";
import { ManifestCluster } from "../src/cluster/manifests.ts";
import { layout } from "../src/play/state.ts";
import { type Conversation, conversations, type PlacedPod } from "./demo/conversations.ts";
import { runInside } from "./demo/inside.ts";
import { buildLan, type DemoLan, type DemoNode } from "./demo/lan.ts";
import { filesUnder, leasesUnder, mountsUnder, nodeContents } from "./demo/remains.ts";
import { ping } from "./kit/ping.ts";

const repository = join(import.meta.dirname, "..");
const executable = join(repository, "dist", "polynic");
const manifests = join(repository, "conf-examples", "pods");
const folder = "/run/polynic-demo";
const leaseFolder = "/var/lib/cni/networks";
const pingTimeoutMs = 10_000;
const terminal = processTerminal();
const { heading, bad, faint } = terminal.colours;
let stepCount = 0;
let problems: string[] = [];

process.exitCode = await runInside([process.execPath, import.meta.path], main);

async function main(): Promise<number> {
  const began = performance.now();
  await say("polynic demo: two nodes on one LAN, four pods, two or three interfaces in each");
  await step("A LAN in network namespaces of its own: this machine's network is not touched");
  const lan = buildLan(`${folder}/nodes`, ["node-1", "node-2"]);
  for (const { name, address } of lan.nodes)
    await say(`  ${name} has eth0 ${address}/24, joined to the other by a switch`);
  const before = lan.nodes.flatMap(nodeContents);
  try {
    const pods = await play(lan);
    await showStatus(pods);
    await pingAll(pods);
  } catch (error) {
    await problem(error instanceof Error ? error.message : String(error));
  }
  await takeDown(lan);
  await proveNothingLeft(lan, before);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  await say(
    problems.length === 0 ? `\nAll well after ${seconds} s.` : bad(`\n${problems.length} problems after ${seconds} s:`),
  );
  for (const text of problems) await say(bad(`  ${text}`));
  return problems.length === 0 ? 0 : 1;
}

async function play(lan: DemoLan): Promise<PlacedPod[]> {
  await step("polynic play: pods from conf-examples/pods, both nodes at the same time");
  const plays = await Promise.all(lan.nodes.map((node, index) => playNode(node, index + 1)));
  const pods = plays.flatMap(({ node, report }) => report.pods.map((pod) => ({ node: node.name, pod })));
  await say(playTable({ pods: pods.map(({ pod }) => pod) }, terminal.colours).trimEnd());
  if (pods.length !== 4) await problem(`expected four pods, got ${pods.length}`);
  return pods;
}

async function playNode(node: DemoNode, number: number): Promise<{ node: DemoNode; report: PlayReport }> {
  const files = ["-f", join(manifests, "networks.yaml"), "-f", join(manifests, `${node.name}.yaml`)];
  const where = ["--root", rootOf(node), "--node", node.netns, "--pod-cidr", `10.244.${number}.0/24`];
  const output = await polynic(["play", ...files, ...where, "-o", "json"]);
  return { node, report: JSON.parse(output) as PlayReport };
}

async function showStatus(pods: readonly PlacedPod[]): Promise<void> {
  const [first] = pods;
  if (first === undefined) return;
  const { namespace, name } = first.pod;
  await step(`What the pod ${namespace}/${name} reports: its annotation ${networkStatusKey}`);
  const stored = layout.manifests(`${folder}/${first.node}`, 1);
  const pod = await new ManifestCluster(stored).getPod(namespace, name);
  const status = pod?.annotations[networkStatusKey] ?? "";
  await say(faint(status));
  if (status === "") await problem(`pod ${namespace}/${name} has no network-status`);
}

async function pingAll(pods: readonly PlacedPod[]): Promise<void> {
  const all = conversations(pods);
  await step(`Ping: ${all.length} times, from every pod to every other over every network that they share`);
  const answers = [];
  for (const each of all) answers.push({ ...each, answer: await tryPing(each) });
  const columns = [
    { title: "FROM", cell: ({ from }: Conversation) => from.name },
    { title: "TO", cell: ({ to }: Conversation) => to.name },
    { title: "NETWORK", cell: ({ network }: Conversation) => network },
    { title: "ADDRESS", cell: ({ address }: Conversation) => address },
    { title: "MS", cell: ({ answer }: { answer: string }) => answer, isNumber: true },
  ];
  await say(formatTable(columns, answers, terminal.colours).trimEnd());
}

async function tryPing({ from, to, address, network }: Conversation): Promise<string> {
  try {
    return ping(from.netns, address, { timeoutMs: pingTimeoutMs }).toFixed(2);
  } catch (error) {
    await problem(
      `${from.name} does not reach ${to.name} over ${network}: ${error instanceof Error ? error.message : String(error)}`,
    );
    return "none";
  }
}

async function takeDown(lan: DemoLan): Promise<void> {
  await step("polynic play --down: everything is taken back");
  const down = lan.nodes.map((node) => polynic(["play", "--down", "--root", rootOf(node)]));
  for (const outcome of await Promise.allSettled(down)) {
    if (outcome.status === "fulfilled") await say(outcome.value.trimEnd());
    else await problem(String(outcome.reason));
  }
}

async function proveNothingLeft(lan: DemoLan, before: readonly string[]): Promise<void> {
  await step("What is left");
  const after = lan.nodes.flatMap(nodeContents);
  await prove(
    "links, addresses and routes of the nodes",
    after.filter((line) => !before.includes(line)),
  );
  await prove(
    "links, addresses and routes that went missing",
    before.filter((line) => !after.includes(line)),
  );
  await prove(
    "network namespaces of pods",
    lan.nodes.flatMap((node) => mountsUnder(rootOf(node))),
  );
  await prove("leases", leasesUnder(leaseFolder));
  await prove(
    "files of play",
    lan.nodes.flatMap((node) => filesUnder(rootOf(node))),
  );
  lan.remove();
}

async function prove(what: string, left: readonly string[]): Promise<void> {
  await say(`  ${what}: ${left.length === 0 ? "none" : left.join(", ")}`);
  if (left.length > 0) await problem(`${what} left: ${left.join(", ")}`);
}

function rootOf({ name }: DemoNode): string {
  return `${folder}/${name}`;
}

/** Runs the executable; what it says on standard error is a problem, and so is an exit code. */
async function polynic(args: readonly string[]): Promise<string> {
  const child = Bun.spawn([executable, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [output, complaint] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  for (const line of complaint.split("\n").filter((text) => text !== "")) await problem(line);
  if (child.exitCode !== 0 && complaint === "") await problem(`polynic ${args.join(" ")} ended with ${child.exitCode}`);
  return output;
}

async function step(title: string): Promise<void> {
  stepCount += 1;
  await say(heading(`\n${stepCount}. ${title}`));
}

async function say(text: string): Promise<void> {
  await terminal.out(`${text}\n`);
}

async function problem(text: string): Promise<void> {
  problems = [...problems, text];
  await say(bad(`  ${text}`));
}
