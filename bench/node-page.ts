// docs/performance-node.md: one table for each question, the sides beside each other.
import { describeMachine } from "./machine.ts";
import type { Accounts, Cost, Load } from "./node-load.ts";
import type { Side } from "./node-side.ts";
import type { Deletions } from "./repeated-del.ts";

export interface LoadResult {
  readonly load: Load;
  readonly costs: Readonly<Record<Side, Cost>>;
  readonly accounts: Readonly<Record<Side, Accounts>>;
}

interface Question {
  readonly title: string;
  readonly text: string;
  readonly digits: number;
  readonly value: (result: LoadResult, side: Side) => number;
  /** The issue's budget for pods with one network, as a share of Multus' figure. */
  readonly target?: number;
}

const repeatedTargetMs = 8;

const questions: readonly Question[] = [
  {
    title: "RunPodSandbox",
    text: "Milliseconds until a sandbox was ready, the mean of containerd's histogram of its calls: image, namespace, networks and runc.",
    digits: 0,
    value: ({ costs }, side) => costs[side].sandboxMs / (costs[side].pods + costs[side].refusals.length),
  },
  {
    title: "CNI ADD",
    text: "Milliseconds, the mean of containerd's histogram of its CNI calls.",
    digits: 1,
    value: ({ costs }, side) => costs[side].addMs / (costs[side].pods + costs[side].refusals.length),
    target: 0.33,
  },
  {
    title: "CNI ADD for a pod",
    text: "Milliseconds of all ADDs of a pod together, by the same histogram: a try that was refused soon makes the mean of the calls smaller, and the pod no sooner ready.",
    digits: 1,
    value: ({ costs }, side) => costs[side].addMs / costs[side].pods,
  },
  {
    title: "CNI DEL",
    text: "Milliseconds of all DELs of a pod together, by the same histogram.",
    digits: 1,
    value: ({ costs }, side) => costs[side].delMs / costs[side].pods,
    target: 0.5,
  },
  {
    title: "All ready",
    text: "Milliseconds until the last of the pods was ready, as one waits for them, refused tries included.",
    digits: 0,
    value: ({ costs, load }, side) => (costs[side].allReadyMs / costs[side].pods) * load.atOnce,
  },
  {
    title: "Processor time",
    text: "Milliseconds for a pod's life of all processes of the CNI plugins, delegates and the agent included, the container runtime's own left out.",
    digits: 1,
    value: ({ accounts }, side) => accounts[side].cpuMs / accounts[side].pods,
    target: 0.5,
  },
  {
    title: "Peak memory",
    text: "MiB of all of these processes at the worst moment, as their control group counts it: pages that they share count once, those of executables that somebody else has read already not at all.",
    digits: 1,
    value: ({ accounts }, side) => accounts[side].peakMiB,
  },
  {
    title: "Requests to the API server",
    text: "For a pod's life, by the server's audit log.",
    digits: 1,
    value: ({ costs }, side) => costs[side].requests / costs[side].pods,
  },
];

/** The whole page. `loadBefore` is the machine's load average before anything was measured. */
export function renderPage(results: readonly LoadResult[], deletions: Deletions, loadBefore: number): string {
  return [
    header(loadBefore),
    ...questions.map((question) => renderQuestion(question, results)),
    renderDeletions(deletions),
    renderAgent(results),
    renderRefusals(results),
  ].join("\n");
}

function header(loadBefore: number): string {
  return `# Performance on a node

\`npm run bench -- node\` wrote this page: pod sandboxes through containerd, made at once and deleted at once, by Go Multus (thin) with the Go plugins, by
polynic, and by polynic with \`polynic agent\` on the node, in turn, on one containerd and one kube-apiserver. All of it shares one machine with the API server
and etcd, so at 50 pods at once everything waits for processors. Networks are macvlan with host-local, besides the default one (bridge, host-local, portmap). The agent has
done some dozens of calls before it is measured, as one that lives as long as its node.

Machine: ${describeMachine()}
Load average before: ${loadBefore.toFixed(1)}; what else the machine has to do makes all of it slower, the ratios too.
`;
}

function renderQuestion({ title, text, digits, value, target }: Question, results: readonly LoadResult[]): string {
  const rows = results.map((result) => {
    const [theirs, ours, agent] = [value(result, "multus"), value(result, "polynic"), value(result, "agent")];
    const { networks, atOnce } = result.load;
    const ratio = (figure: number): string =>
      `${(figure / theirs).toFixed(2)}x${verdict(figure / theirs, networks, target)}`;
    return row([
      networks,
      atOnce,
      theirs.toFixed(digits),
      ours.toFixed(digits),
      ratio(ours),
      agent.toFixed(digits),
      ratio(agent),
    ]);
  });
  const budget = target === undefined ? "" : ` Target with one network: ≤ ${target.toFixed(2)}x.`;
  return `## ${title}

${text}${budget}

| networks | pods at once | Multus | polynic | ratio | with the agent | ratio |
|---|---|---|---|---|---|---|
${rows.join("\n")}
`;
}

function verdict(ratio: number, networks: number, target: number | undefined): string {
  if (target === undefined || networks !== 1) return "";
  const excess = Number(ratio.toFixed(2)) - target;
  return excess <= 0 ? ", met" : `, missed by ${excess.toFixed(2)}`;
}

function renderDeletions(deletions: Deletions): string {
  const rows = (["multus", "polynic", "agent"] as const).map((side) => {
    const sorted = deletions[side].toSorted((a, b) => a - b);
    const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(1);
    return row([sideNames[side], at(0.5), at(0.9), sorted.length, side === "multus" ? "" : metBy(Number(at(0.5)))]);
  });
  return `## DEL of what is deleted already

containerd sends two to four DELs for a pod, and all but the first find nothing. Milliseconds of the whole process. Target: ≤ ${repeatedTargetMs} ms.

| | p50 | p90 | calls | target |
|---|---|---|---|---|
${rows.join("\n")}
`;
}

function metBy(p50: number): string {
  return p50 <= repeatedTargetMs ? "met" : `missed by ${(p50 - repeatedTargetMs).toFixed(1)}`;
}

/** How much of the work the agent got, and what it holds when there is none. */
function renderAgent(results: readonly LoadResult[]): string {
  const rows = results.map(({ load, costs, accounts }) =>
    row([
      load.networks,
      load.atOnce,
      (costs.agent.agentCalls / costs.agent.pods).toFixed(1),
      accounts.agent.idleMiB.toFixed(1),
    ]),
  );
  return `## The agent's part

Calls that it did for each pod (the others were done by the processes themselves, since all of its workers were busy), and its memory in MiB before the
first one.

| networks | pods at once | calls for a pod | memory when idle |
|---|---|---|---|
${rows.join("\n")}
`;
}

function renderRefusals(results: readonly LoadResult[]): string {
  const counts = new Map<string, number>();
  for (const { costs } of results)
    for (const [side, { refusals }] of Object.entries(costs) as [Side, Cost][])
      for (const reason of refusals) {
        const key = `${sideNames[side]}: ${shortened(reason)}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
  const lines = [...counts].map(([reason, count]) => `- ${count} × ${reason}`);
  const outcome =
    lines.length === 0
      ? "No sandbox was refused."
      : `Sandboxes that were refused, and tried again after half a second, as kubelet does:\n\n${lines.join("\n")}`;
  return `## Refused

${outcome}

Multus gives each request to the API server a quarter of a second, whatever the server is busy with.
`;
}

/** Without what differs from pod to pod. */
function shortened(reason: string): string {
  const words = reason.replaceAll(/[0-9a-f]{8,}(?:-[0-9a-f]{4,})*/g, "…").replaceAll(/pod-\d+/g, "pod-…");
  // crictl says it twice.
  const cause = /desc = (.*?)(?:"\s+time=|$)/s.exec(words)?.[1] ?? words;
  return cause
    .replaceAll(/\s+/g, " ")
    .replaceAll('\\"', '"')
    .replaceAll(/https:\/\/[^/]*/g, "")
    .slice(0, 300);
}

const sideNames: Readonly<Record<Side, string>> = {
  multus: "Multus",
  polynic: "polynic",
  agent: "polynic with the agent",
};

function row(cells: readonly (string | number)[]): string {
  return `| ${cells.join(" | ")} |`;
}
