// `npm run bench -- whereabouts`: writes the table of docs/whereabouts.md.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startApiServer } from "../test/kit/api-server.ts";
import { prepareCluster } from "../test/kit/cluster.ts";
import { polynicBin } from "../test/kit/cni-caller.ts";
import { disagreements } from "../test/kit/duplicate-detector.ts";
import { connectPools, eventually, IpamWorld } from "../test/kit/ipam-world.ts";
import { type IpamFigures, type IpamLoad, runLoad } from "./ipam-run.ts";
import { describeMachine } from "./machine.ts";

const page = join(import.meta.dirname, "..", "docs", "whereabouts.md");
const beginMark = "<!-- bench: `npm run bench -- whereabouts` writes this part -->";
const endMark = "<!-- end of bench -->";
/** ADDs beyond this take the Go side a minute and more. */
const adds = 100;

const apart = { enable_overlapping_ranges: false };
const checked = "overlaps checked";
const loads: readonly IpamLoad[] = [
  { what: `1 at a time, ${checked}`, range: "10.1.0.0/22", adds: 20, width: 1 },
  { what: `10 at once, ${checked}`, range: "10.2.0.0/22", adds, width: 10 },
  { what: `50 at once, ${checked}`, range: "10.3.0.0/22", adds, width: 50 },
  { what: "1 at a time, not checked", range: "10.4.0.0/22", adds: 20, width: 1, over: apart },
  { what: "10 at once, not checked", range: "10.5.0.0/22", adds, width: 10, over: apart },
  { what: "50 at once, not checked", range: "10.6.0.0/22", adds, width: 50, over: apart },
  { what: `10 at once, 500 taken, ${checked}`, range: "10.8.0.0/20", adds, width: 10, taken: 500 },
  { what: `10 at once, 2,000 taken, ${checked}`, range: "10.9.0.0/20", adds, width: 10, taken: 2000 },
  { what: "10 at once, 2,000 taken, not checked", range: "10.10.0.0/20", adds, width: 10, taken: 2000, over: apart },
  { what: "500 of 500, 50 at once", range: "10.12.0.1-10.12.1.244/22", adds: 500, width: 50 },
  { what: "1,000 pods of 10 nodes, 50 at once", range: "10.13.0.0/16", adds: 1000, width: 50, nodes: 10 },
];
/** Loads that the Go side does not get through in the time of a bench; published: 2529 s. */
const oursOnly = new Set(["1,000 pods of 10 nodes, 50 at once"]);

interface Line {
  readonly load: IpamLoad;
  readonly go: IpamFigures | undefined;
  readonly ours: IpamFigures;
  /** How the index stood to the claims at the end. */
  readonly isSettled: boolean;
}

/** Runs the loads whose names contain one of `only`, all when there is none, and prints the table; writes it into the page when all ran. */
export async function ipamBench(only: readonly string[], say: (line: string) => void): Promise<void> {
  const lines: Line[] = [];
  for (const load of loads) {
    if (only.length > 0 && !only.some((word) => load.what.includes(word))) continue;
    say(`measuring whereabouts, ${load.what}`);
    lines.push(await measure(load, say));
  }
  const table = render(lines);
  process.stdout.write(`${table}\n`);
  if (only.length > 0) return;
  const text = readFileSync(page, "utf8");
  const [before = "", rest = ""] = text.split(beginMark);
  const after = rest.split(endMark)[1] ?? "";
  writeFileSync(page, `${before}${beginMark}\n\n${table}\n${endMark}${after}`);
  say("wrote docs/whereabouts.md");
}

/** A server of its own for each load, so that none inherits what another has left. */
async function measure(load: IpamLoad, say: (line: string) => void): Promise<Line> {
  const folder = mkdtempSync(join(tmpdir(), "polynic-bench-ipam-"));
  const server = await startApiServer(join(folder, "server"));
  try {
    await prepareCluster(server);
    const goWorld = await IpamWorld.make(server);
    const go = oursOnly.has(load.what) ? undefined : await runLoad(server, goWorld, "go", load, folder);
    if (go !== undefined) say(`  Go: ${inWords(go)}`);
    const world = await IpamWorld.make(server);
    await Bun.write(join(folder, "controller.kubeconfig"), await world.kubeconfig("polynic-ipam"));
    const controller = Bun.spawn(
      [
        join(polynicBin, "polynic"),
        "controller",
        "ipam",
        "--gc-schedule",
        "@hourly",
        "--kubeconfig",
        join(folder, "controller.kubeconfig"),
      ],
      {
        stdio: ["ignore", "ignore", Bun.file(join(folder, "controller.log"))],
        env: { WHEREABOUTS_NAMESPACE: world.namespace },
      },
    );
    try {
      const ours = await runLoad(server, world, "ours", load, folder);
      say(`  ours: ${inWords(ours)}`);
      const { pools } = await connectPools(server, "polynic-ipam", world.namespace);
      const left = await eventually(() => disagreements(pools), [], 30_000);
      return { load, go, ours, isSettled: left.length === 0 };
    } finally {
      controller.kill("SIGKILL");
      await controller.exited;
    }
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function render(lines: readonly Line[]): string {
  const head = [
    "| load | | ADD p50 | p99 ms | wall s | × | DEL wall s | failed | requests per ADD | server CPU per ADD |",
    "|---|---|---|---|---|---|---|---|---|---|",
  ];
  const rows = lines.flatMap(({ load, go, ours }) => [
    ...(go === undefined ? [] : [row(load.what, "Go", load, go)]),
    row(go === undefined ? load.what : "", "ours", load, ours, go),
  ]);
  const claims = lines.reduce((sum, { ours }) => sum + ours.claims, 0);
  const duplicates = lines.reduce((sum, { ours }) => sum + ours.duplicates, 0);
  const settled = lines.every(({ isSettled }) => isSettled)
    ? "every claim had its key and every key its claim"
    : "THE INDEX HAD NOT SETTLED";
  return `${[...head, ...rows].join("\n")}

Machine: ${describeMachine()}; the server, its etcd, the controller and every process of a load share it. Each row: both sides in one run on one
fresh server. A failed ADD counts to its wall time.

Duplicate detector: **${claims} claims made by ours, ${duplicates} duplicates**; once the index had settled, ${settled}.
`;
}

function row(what: string, side: string, { adds: count }: IpamLoad, figures: IpamFigures, go?: IpamFigures): string {
  const { addMs, addWallMs, delWallMs, failed, requestsPerAdd, serverCpuMs } = figures;
  const ratio = go === undefined ? "" : (go.addWallMs / addWallMs).toFixed(1);
  const cells = [
    what,
    side,
    percentile(addMs, 50),
    percentile(addMs, 99),
    (addWallMs / 1000).toFixed(1),
    ratio,
    (delWallMs / 1000).toFixed(1),
    failed,
    requestsPerAdd.toFixed(1),
    `${(serverCpuMs / count).toFixed(0)} ms`,
  ];
  return `| ${cells.join(" | ")} |`;
}

function inWords({ addMs, addWallMs, delWallMs, failed, claims, duplicates }: IpamFigures): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  return `p50 ${percentile(addMs, 50)} ms, wall ${seconds(addWallMs)}, DEL ${seconds(delWallMs)}, ${failed} failed, ${claims} claims, ${duplicates} duplicates`;
}

function percentile(values: readonly number[], part: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * part) / 100))];
  return value === undefined ? "-" : value.toFixed(0);
}
