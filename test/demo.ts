// `npm run demo`: two nodes on a LAN, five pods, every network between them, a port of a node, and nothing left of it at the end.
import { join } from "node:path";
import { exitUnread, isUnread } from "../cmd/failure.ts";
import { formatTable } from "../cmd/table.ts";
import { processTerminal } from "../cmd/terminal.ts";
import { playTable } from "../cmd/verbs/play.ts";
import type { PlayReport } from "../src/play/report.ts";
import { containsIp, parsePrefix } from "../src/ip/prefix.ts";
import { networkStatusKey } from "../src/cluster/port.ts";
import { ManifestCluster } from "../src/cluster/manifests.ts";
import { layout } from "../src/play/state.ts";
import { messageOf } from "../src/words/message.ts";
import { sourceRouting, sysctlsOf } from "./demo/chain.ts";
import { type Conversation, conversations, type PlacedPod } from "./demo/conversations.ts";
import { askPort, type PortQuestion, questionsOf, serveIn } from "./demo/host-port.ts";
import { runInside } from "./demo/inside.ts";
import { addBridge, buildLan, type DemoLan, type DemoNode } from "./demo/lan.ts";
import { claimsUnder, filesUnder, leasesUnder, mountsUnder, nodeContents } from "./demo/remains.ts";
import { ping } from "./kit/ping.ts";

const repository = join(import.meta.dirname, "..");
const executable = join(repository, "dist", "polynic");
const manifests = join(repository, "conf-examples", "pods");
const folder = "/run/polynic-demo";
const tuningFolder = "/run/cni/tuning";
const leaseFolder = "/var/lib/cni/networks";
// What the network "shared" of conf-examples/pods/networks.yaml says.
const shared = { folder: "/run/polynic/shared", pool: "10.65.0.0/24" };
const pingTimeoutMs = 10_000;
// What conf-examples/pods/ports.yaml says; of the ports, the first is of the network "published", the second of the default network.
const publishedBridge = { name: "br-published", address: "10.63.0.1/24" };
const published = { pod: "shop", interface: "net1", hostPorts: [8080, 8082], containerPort: 80 };
const tunedSysctls = { "net/core/somaxconn": "8192", "net/ipv4/conf/net1/accept_redirects": "0" };
const terminal = processTerminal();
const { heading, bad, faint } = terminal.colours;
let stepCount = 0;
let problems: string[] = [];

process.exitCode = await runInside([process.execPath, import.meta.path], whileSomebodyReads);

/** Where nobody reads on (`| head`) the rest is not for anybody: what was made goes with the namespaces of this process. */
async function whileSomebodyReads(): Promise<number> {
  try {
    return await main();
  } catch (error) {
    if (isUnread(error)) return exitUnread;
    throw error;
  }
}

async function main(): Promise<number> {
  const began = performance.now();
  await say("polynic demo: two nodes on one LAN, five pods, two to four interfaces in each");
  await step("A LAN in network namespaces of its own: this machine's network is not touched");
  const lan = buildLan(`${folder}/nodes`, ["node-1", "node-2"]);
  for (const { name, address } of lan.nodes)
    await say(`  ${name} has eth0 ${address}/24, joined to the other by a switch`);
  const [publisher] = lan.nodes;
  addBridge(publisher, publishedBridge.name, publishedBridge.address);
  await say(
    `  ${publisher.name} has a bridge ${publishedBridge.name} ${publishedBridge.address} for ports that lead to pods`,
  );
  const before = lan.nodes.flatMap(nodeContents);
  try {
    const pods = await play(lan);
    await showStatus(pods);
    await showChain(pods);
    await showSharedPool(pods);
    await pingAll(pods);
    await askHostPort(lan, pods);
  } catch (error) {
    await problem(messageOf(error));
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
  if (pods.length !== 5) await problem(`expected five pods, got ${pods.length}`);
  return pods;
}

async function playNode(node: DemoNode, number: number): Promise<{ node: DemoNode; report: PlayReport }> {
  const names = ["networks", node.name, ...(number === 1 ? ["ports"] : [])];
  const files = names.flatMap((name) => ["-f", join(manifests, `${name}.yaml`)]);
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

async function showChain(pods: readonly PlacedPod[]): Promise<void> {
  const shop = podNamed(pods, published.pod);
  const own = shop.interfaces.find((each) => each.interface === published.interface);
  await step(`What the chain ${own?.plugin} has made of ${published.interface} in pod ${published.pod}`);
  const { rules, routes } = sourceRouting(shop.netns);
  for (const line of [...rules, ...routes]) await say(`  sbr     ${line}`);
  const [address = ""] = own?.addresses ?? [];
  if (!rules.some((rule) => rule.startsWith(`from ${address.replace(/\/.*/, "")}`)))
    await problem(`no rule sends what comes from ${address} to a table of its own`);
  if (!routes.some((route) => route.startsWith("route default"))) await problem("that table has no default route");
  const sysctls = sysctlsOf(shop.netns, Object.keys(tunedSysctls));
  for (const line of sysctls) await say(`  tuning  ${line}`);
  for (const [key, value] of Object.entries(tunedSysctls))
    if (!sysctls.includes(`${key} = ${value}`)) await problem(`${key} is not ${value}`);
}

/** Pods of both nodes have addresses of one pool, and no two the same. */
async function showSharedPool(pods: readonly PlacedPod[]): Promise<void> {
  await step(`One pool for both nodes: whereabouts claims the addresses of ${shared.pool} in ${shared.folder}`);
  const range = parsePrefix(shared.pool)!;
  const found = pods.flatMap(({ node, pod }) =>
    pod.interfaces.flatMap(({ addresses }) =>
      addresses
        .filter((text) => containsIp(range, parsePrefix(text)!.ip))
        .map((address) => ({ node, pod: pod.name, address })),
    ),
  );
  for (const { node, pod, address } of found) await say(`  ${address} is of pod ${pod} on ${node}`);
  for (const path of claimsUnder(shared.folder)) await say(faint(`  ${path}`));
  if (new Set(found.map(({ node }) => node)).size !== 2) await problem("not every node has a pod in the shared pool");
  if (new Set(found.map(({ address }) => address)).size !== found.length) await problem("an address has two holders");
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
    await problem(`${from.name} does not reach ${to.name} over ${network}: ${messageOf(error)}`);
    return "none";
  }
}

async function askHostPort(lan: DemoLan, pods: readonly PlacedPod[]): Promise<void> {
  const { pod, hostPorts, containerPort } = published;
  await step(`TCP: ports ${hostPorts.join(" and ")} of node-1 lead to port ${containerPort} of pod ${pod}`);
  using _server = await serveIn(podNamed(pods, pod), containerPort);
  const questions = hostPorts.flatMap((port) => questionsOf(port, ...lan.nodes, podNamed(pods, "web")));
  const answers = questions.map((question) => ({ ...question, answer: askPort(question) }));
  const columns = [
    { title: "FROM", cell: ({ from }: PortQuestion) => from },
    { title: "TO", cell: ({ address, port }: PortQuestion) => `${address}:${port}` },
    { title: "ANSWERS", cell: ({ answer }: { answer: string }) => answer.split(" ")[0] ?? "" },
    { title: "AND SAW", cell: ({ answer }: { answer: string }) => answer.split(" ")[1] ?? "" },
  ];
  await say(formatTable(columns, answers, terminal.colours).trimEnd());
  for (const { from, address, port, answer } of answers)
    if (!answer.startsWith(`${pod} `)) await problem(`${address}:${port} does not answer ${from}: ${answer}`);
}

function podNamed(pods: readonly PlacedPod[], wanted: string): PlacedPod["pod"] {
  const found = pods.find(({ pod }) => pod.name === wanted);
  if (found === undefined) throw new Error(`there is no pod ${wanted}`);
  return found.pod;
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
    "links, addresses, routes and port mappings of the nodes",
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
  const answers = published.hostPorts.flatMap((port) => questionsOf(port, ...lan.nodes).map(askPort));
  await prove(
    `answers at ports ${published.hostPorts.join(" and ")} of node-1`,
    answers.filter((answer) => answer !== "refused"),
  );
  await prove("leases", leasesUnder(leaseFolder));
  await prove(`claims in the pool ${shared.pool}`, claimsUnder(shared.folder));
  await prove("backups of tuning", filesUnder(tuningFolder));
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
