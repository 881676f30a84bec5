// `npm run bench -- whereabouts`: writes the table of docs/whereabouts.md.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ApiServerFacts, startApiServer } from "../test/kit/api-server.ts";
import { kubeconfig, prepareCluster } from "../test/kit/cluster.ts";
import { polynicBin } from "../test/kit/cni-caller.ts";
import { disagreements } from "../test/kit/duplicate-detector.ts";
import { connectPools, eventually, IpamWorld } from "../test/kit/ipam-world.ts";
import { KubeAdmin } from "../test/kit/kube-admin.ts";
import { type ClusterLoad, runCluster } from "./ipam-cluster.ts";
import { type IpamFigures, type IpamLoad, runLoad } from "./ipam-run.ts";
import { type LagFigures, measureLag } from "./index-lag.ts";
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
  { what: `1 at a time, 500 taken, ${checked}`, range: "10.16.0.0/20", adds: 20, width: 1, taken: 500 },
  { what: `1 at a time, 2,000 taken, ${checked}`, range: "10.17.0.0/20", adds: 20, width: 1, taken: 2000 },
  { what: `10 at once, 500 taken, ${checked}`, range: "10.8.0.0/20", adds, width: 10, taken: 500 },
  { what: `10 at once, 2,000 taken, ${checked}`, range: "10.9.0.0/20", adds, width: 10, taken: 2000 },
  { what: `50 at once, 500 taken, ${checked}`, range: "10.18.0.0/20", adds, width: 50, taken: 500 },
  { what: `50 at once, 2,000 taken, ${checked}`, range: "10.19.0.0/20", adds, width: 50, taken: 2000 },
  { what: "10 at once, 2,000 taken, not checked", range: "10.10.0.0/20", adds, width: 10, taken: 2000, over: apart },
  { what: "500 of 500, 50 at once", range: "10.12.0.1-10.12.1.244/22", adds: 500, width: 50 },
  { what: "1,000 addresses on 10 nodes, 50 at once", range: "10.13.0.0/16", adds: 1000, width: 50, nodes: 10 },
];
/** Loads that the Go side does not get through in the time of a bench; published: 2529 s. */
const oursOnly = new Set(["1,000 addresses on 10 nodes, 50 at once"]);
const pods = { what: "1,000 pods on 10 nodes by the dispatcher, 100 at once, with their status", adds: 1000 };
const cluster: ClusterLoad = { range: "10.14.0.0/16", nodes: 10, podsPerNode: 100, width: 10 };

/** Entries of Go nodes in the pool. */
const lagSizes = [500, 2000, 7000] as const;

interface Line {
  readonly load: Pick<IpamLoad, "what" | "adds">;
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
  if (only.length === 0 || only.some((word) => pods.what.includes(word))) {
    say(`measuring whereabouts, ${pods.what}`);
    lines.push(await measureCluster(say));
  }
  const lags: LagFigures[] = [];
  if (only.length === 0 || only.includes("index")) {
    for (const entries of lagSizes) {
      say(`measuring whereabouts, the index of a pool of ${entries} entries`);
      lags.push(await withServer((server) => measureLag(server, entries)));
    }
  }
  const table = render(lines, lags);
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
  return await withServer(async (server, folder) => {
    const goWorld = await IpamWorld.make(server);
    const go = oursOnly.has(load.what) ? undefined : await runLoad(server, goWorld, "go", load, folder);
    if (go !== undefined) say(`  Go: ${inWords(go)}`);
    const world = await IpamWorld.make(server);
    const text = await world.kubeconfig("polynic-ipam");
    const settled = await withController(server, world.namespace, text, folder, async () => {
      return await runLoad(server, world, "ours", load, folder);
    });
    say(`  ours: ${inWords(settled.ours)}`);
    return { load, go, ...settled };
  });
}

async function measureCluster(say: (line: string) => void): Promise<Line> {
  return await withServer(async (server, folder) => {
    const admin = new KubeAdmin(server);
    const user = { token: await admin.token("kube-system", "polynic-ipam") };
    const text = kubeconfig({ server: admin.server, ca: server.ca, user, namespace: "kube-system" });
    const settled = await withController(server, "kube-system", text, folder, async () => {
      return await runCluster(server, cluster);
    });
    say(`  ours: ${inWords(settled.ours)}`);
    return { load: pods, go: undefined, ...settled };
  });
}

async function withServer<T>(work: (server: ApiServerFacts, folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "polynic-bench-ipam-"));
  const server = await startApiServer(join(folder, "server"));
  try {
    await prepareCluster(server);
    return await work(server, folder);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What our side shows while a controller of ours runs, and whether the index comes to rest after it. */
async function withController(
  server: ApiServerFacts,
  namespace: string,
  credentials: string,
  folder: string,
  work: () => Promise<IpamFigures>,
): Promise<Pick<Line, "ours" | "isSettled">> {
  const file = join(folder, "controller.kubeconfig");
  await Bun.write(file, credentials);
  const command = [join(polynicBin, "polynic"), "controller", "ipam", "--gc-schedule", "@hourly", "--kubeconfig", file];
  const controller = Bun.spawn(command, {
    stdio: ["ignore", "ignore", Bun.file(join(folder, "controller.log"))],
    env: { WHEREABOUTS_NAMESPACE: namespace },
  });
  try {
    const ours = await work();
    const { pools } = await connectPools(server, "polynic-ipam", namespace);
    const left = await eventually(() => disagreements(pools), [], 30_000);
    return { ours, isSettled: left.length === 0 };
  } finally {
    controller.kill("SIGKILL");
    await controller.exited;
  }
}

function render(lines: readonly Line[], lags: readonly LagFigures[]): string {
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
  const lagRows = lags.map(({ entries, lagMs }) => {
    return `| ${entries} | ${percentile(lagMs, 50)} | ${percentile(lagMs, 100)} |`;
  });
  const lagHead = ["| entries of Go nodes in the pool | index behind by p50 | at most ms |", "|---|---|---|"];
  return `${[...head, ...rows].join("\n")}

${[...lagHead, ...lagRows].join("\n")}

With twenty claims a second for five seconds, counted from the start of the controller.

Machine: ${describeMachine()}; the server, its etcd, the controller and every process of a load share it. Each row: both sides in one run on one
fresh server. A failed ADD counts to its wall time.

Duplicate detector: **${claims} claims made by ours, ${duplicates} duplicates**; once the index had settled, ${settled}.
`;
}

function row(
  what: string,
  side: string,
  { adds: count }: Line["load"],
  figures: IpamFigures,
  go?: IpamFigures,
): string {
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
