// What the whereabouts bench says of its figures: lines while it runs, and the tables of docs/whereabouts.md.
import type { LagFigures } from "./index-lag.ts";
import { type IpamFigures, type IpamLoad, type Phase, type Side, sides } from "./ipam-run.ts";
import { describeMachine } from "./machine.ts";

/** One load by all sides. */
export interface Line {
  readonly load: Pick<IpamLoad, "what" | "adds">;
  /** Undefined where a side is not measured: Go where it does not get through in the time of a bench. */
  readonly figures: { readonly [side in Side]: IpamFigures | undefined };
  /** Each index came to agree with the claims. */
  readonly isSettled: boolean;
}

const names: { readonly [side in Side]: string } = {
  go: "Go",
  ours: "ours",
  agent: "with agent",
  alone: "with agent, no Go nodes",
};

/** The tables, and what the detector counted. */
export function render(lines: readonly Line[], lags: readonly LagFigures[]): string {
  const head = [
    "| load | | ADD p50 | p99 ms | wall s | × | DEL wall s | × | failed | requests per ADD, DEL | ms of processor per ADD: own + server + controller | per DEL |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
  ];
  const rows = lines.flatMap((line) => sides.map((side) => row(line, side)).filter((text) => text !== ""));
  const lagRows = lags.map(({ entries, lagMs }) => {
    return `| ${entries} | ${percentile(lagMs, 50)} | ${percentile(lagMs, 100)} |`;
  });
  const lagHead = ["| entries of Go nodes in the pool | index behind by p50 | at most ms |", "|---|---|---|"];
  return `${[...head, ...rows].join("\n")}

${[...lagHead, ...lagRows].join("\n")}

With twenty claims a second for five seconds, counted from the start of the controller.

Machine: ${describeMachine()}; the server, its etcd, the controller and every process of a load share it. Each load: all sides in one run on one
server. × is Go's wall time by ours. A failed ADD counts to its wall time. "Own" is the process of each call, and the agent with its workers, which did
${agentShare(lines)} of the calls of its sides. "No Go nodes": with \`"coexist": false\`.

${detectorsCount(lines)}
`;
}

function row({ load, figures }: Line, side: Side): string {
  const own = figures[side];
  if (own === undefined) return "";
  const { addMs, add, del, failed } = own;
  const isFirst = side === "go" || (figures.go === undefined && side === "ours");
  const cells = [
    isFirst ? load.what : "",
    names[side],
    percentile(addMs, 50),
    percentile(addMs, 99),
    inSeconds(add.wallMs),
    side === "go" ? "" : ratio(figures.go?.add, add),
    inSeconds(del.wallMs),
    side === "go" ? "" : ratio(figures.go?.del, del),
    failed,
    `${(add.requests / load.adds).toFixed(1)}, ${(del.requests / load.adds).toFixed(1)}`,
    cpu(add, load.adds),
    cpu(del, load.adds),
  ];
  return `| ${cells.join(" | ")} |`;
}

function ratio(theirs: Phase | undefined, ours: Phase): string {
  return theirs === undefined ? "" : (theirs.wallMs / ours.wallMs).toFixed(1);
}

function cpu({ ownCpuMs, serverCpuMs, controllerCpuMs }: Phase, count: number): string {
  return [ownCpuMs, serverCpuMs, controllerCpuMs].map((ms) => (ms / count).toFixed(1)).join(" + ");
}

/** In per cent. */
function agentShare(lines: readonly Line[]): string {
  let calls = 0;
  let byAgent = 0;
  for (const { load, figures } of lines)
    for (const { agentCalls } of present([figures.agent, figures.alone])) {
      calls += 2 * load.adds;
      byAgent += agentCalls;
    }
  return `${Math.round((100 * byAgent) / Math.max(1, calls))} %`;
}

function detectorsCount(lines: readonly Line[]): string {
  const ofOurs = lines.flatMap(({ figures: { ours, agent, alone } }) => present([ours, agent, alone]));
  const claims = ofOurs.reduce((sum, figures) => sum + figures.claims, 0);
  const duplicates = ofOurs.reduce((sum, figures) => sum + figures.duplicates, 0);
  const settled = lines.every(({ isSettled }) => isSettled)
    ? "every claim had its key and every key its claim"
    : "THE INDEX HAD NOT SETTLED";
  return `Duplicate detector: **${claims} claims made by ours, ${duplicates} duplicates**; once the index had settled, ${settled}.`;
}

function present(figures: readonly (IpamFigures | undefined)[]): IpamFigures[] {
  return figures.filter((each) => each !== undefined);
}

/** One line about a side while the bench runs. */
export function inWords({ addMs, add, del, failed, claims, duplicates, agentCalls }: IpamFigures): string {
  const count = Math.max(1, addMs.length);
  const phase = (what: string, each: Phase): string =>
    `${what} ${inSeconds(each.wallMs)} s, cpu ${cpu(each, count)} ms, ${(each.requests / count).toFixed(2)} requests`;
  const counts = `${failed} failed, ${claims} claims, ${duplicates} duplicates, ${agentCalls} by the agent`;
  return `${phase("ADD", add)}, p50 ${percentile(addMs, 50)} ms; ${phase("DEL", del)}; ${counts}`;
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function percentile(values: readonly number[], part: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * part) / 100))];
  return value === undefined ? "-" : value.toFixed(0);
}
