// `npm run bench -- whereabouts`: writes the table of docs/whereabouts.md.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestAgent } from "../test/kit/agent.ts";
import { type ApiServerFacts, startApiServer } from "../test/kit/api-server.ts";
import { kubeconfig, prepareCluster } from "../test/kit/cluster.ts";
import { polynicBin } from "../test/kit/cni-caller.ts";
import { disagreements } from "../test/kit/duplicate-detector.ts";
import { connectPools, eventually, IpamWorld } from "../test/kit/ipam-world.ts";
import { KubeAdmin } from "../test/kit/kube-admin.ts";
import { removeTree } from "../test/kit/remove-tree.ts";
import { type ClusterLoad, runCluster } from "./ipam-cluster.ts";
import { type IpamFigures, type IpamLoad, runLoad } from "./ipam-run.ts";
import { type LagFigures, measureLag } from "./index-lag.ts";
import { inWords, type Line, render } from "./ipam-page.ts";

const page = join(import.meta.dirname, "..", "docs", "whereabouts.md");
const beginMark = "<!-- bench: `npm run bench -- whereabouts` writes this part -->";
const endMark = "<!-- end of bench -->";
/** ADDs beyond this take the Go side a minute and more. */
const adds = 100;
/** With many taken each one of Go's takes up to ten times as long. */
const addsWhenFull = 50;

const apart = { enable_overlapping_ranges: false };
/** The same for every width, number of addresses that are taken before, and with overlaps checked or not. */
const loads: readonly IpamLoad[] = [
  ...[true, false].flatMap((isChecked) =>
    [0, 500, 2000].flatMap((taken) =>
      [1, 10, 50].map((width) => ({
        what: `${width === 1 ? "1 at a time" : `${width} at once`}, ${taken === 0 ? "" : `${taken.toLocaleString("en")} taken, `}${isChecked ? "overlaps checked" : "not checked"}`,
        range: "10.1.0.0/20",
        adds: width === 1 ? 20 : taken > 0 ? addsWhenFull : adds,
        width,
        ...(taken === 0 ? {} : { taken }),
        ...(isChecked ? {} : { over: apart }),
      })),
    ),
  ),
  { what: "500 of 500, 50 at once", range: "10.12.0.1-10.12.1.244/22", adds: 500, width: 50 },
];
const pods = { what: "1,000 pods on 10 nodes by the dispatcher, 100 at once, with their status", adds: 1000 };
const cluster: ClusterLoad = { range: "10.14.0.0/16", nodes: 10, podsPerNode: 100, width: 10 };

/** As an agent has by itself on two processors. */
const workers = 4;
/** An agent of a node has been there for long: calls before the first load, and before each, since an agent knows its server. */
const warmAdds = { first: 100, each: 16 } as const;
const warmLoad = { what: "warm", range: "10.15.0.0/20", width: 4 };

/** Entries of Go nodes in the pool. */
const lagSizes = [500, 2000, 7000] as const;

/** Runs the loads whose names contain one of `only`, all when there is none, and prints the table; writes it into the page when all ran. */
export async function ipamBench(only: readonly string[], say: (line: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "polynic-bench-agent-"));
  const lines: Line[] = [];
  const lags: LagFigures[] = [];
  const isWanted = (what: string): boolean => only.length === 0 || only.some((word) => what.includes(word));
  try {
    await using agent = await TestAgent.start({ folder, workers });
    for (const group of groupsOf(loads.filter(({ what }) => isWanted(what))))
      lines.push(...(await measureGroup(group, agent, say)));
    if (isWanted(pods.what)) {
      say(`measuring whereabouts, ${pods.what}`);
      lines.push(await measureCluster(say));
    }
    if (isWanted("index"))
      for (const entries of lagSizes) {
        say(`measuring whereabouts, the index of a pool of ${entries} entries`);
        lags.push(await withServer((server) => measureLag(server, entries)));
      }
  } finally {
    removeTree(folder);
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

interface Settled {
  readonly figures: IpamFigures;
  /** How the index stood to the claims at the end. */
  readonly isSettled: boolean;
}

/** Those that differ in width alone. */
function groupsOf(wanted: readonly IpamLoad[]): readonly (readonly IpamLoad[])[] {
  return [...Map.groupBy(wanted, ({ range, taken, over }) => JSON.stringify([range, taken, over])).values()];
}

/** A server for each group, where each side of each load has a namespace of its own; all sides one after the other. */
async function measureGroup(
  group: readonly IpamLoad[],
  agent: TestAgent,
  say: (line: string) => void,
): Promise<readonly Line[]> {
  return await withServer(async (server, folder) => {
    const lines: Line[] = [];
    for (const load of group) {
      say(`measuring whereabouts, ${load.what}`);
      const own = join(folder, String(load.width));
      const go = await runLoad(await IpamWorld.make(server), "go", load, { folder: own });
      say(`  Go: ${inWords(go)}`);
      const ours = await measureOurs(load, server, join(own, "without"));
      say(`  ours: ${inWords(ours.figures)}`);
      const withAgent = await measureOurs(load, server, join(own, "with"), agent);
      say(`  with the agent: ${inWords(withAgent.figures)}`);
      const alone = isApart(load) ? await measureOurs(withoutGo(load), server, join(own, "alone"), agent) : undefined;
      if (alone !== undefined) say(`  with the agent, without Go nodes: ${inWords(alone.figures)}`);
      const isSettled = ours.isSettled && withAgent.isSettled && alone?.isSettled !== false;
      const figures = { go, ours: ours.figures, agent: withAgent.figures, alone: alone?.figures };
      lines.push({ load, figures, isSettled });
    }
    return lines;
  });
}

/** Those of which the last step of a migration takes most of the cost away: a write of the whole map before each burst of ADDs and DELs returns. */
function isApart({ over, width }: IpamLoad): boolean {
  return over !== undefined && width > 1;
}

function withoutGo(load: IpamLoad): IpamLoad {
  return { ...load, over: { ...load.over, coexist: false } };
}

/** In a namespace, and with a controller, of its own. */
async function measureOurs(
  load: IpamLoad,
  server: ApiServerFacts,
  folder: string,
  agent?: TestAgent,
): Promise<Settled> {
  mkdirSync(folder, { recursive: true });
  const world = await IpamWorld.make(server);
  const credentials = await world.kubeconfig("polynic-ipam");
  return await withController(server, world.namespace, credentials, folder, async (controller) => {
    if (agent === undefined) return await runLoad(world, "ours", load, { folder, controller });
    const before = join(folder, "before");
    const warm = { ...warmLoad, adds: agent.calls() === 0 ? warmAdds.first : warmAdds.each };
    await runLoad(world, "agent", { ...warm, ...(load.over && { over: load.over }) }, { folder: before, agent });
    return await runLoad(world, "agent", load, { folder, agent, controller });
  });
}

async function measureCluster(say: (line: string) => void): Promise<Line> {
  const ours = await measureNodes(false);
  say(`  ours: ${inWords(ours.figures)}`);
  const agent = await measureNodes(true);
  say(`  with the agents: ${inWords(agent.figures)}`);
  const figures = { go: undefined, ours: ours.figures, agent: agent.figures, alone: undefined };
  return { load: pods, figures, isSettled: ours.isSettled && agent.isSettled };
}

async function measureNodes(hasAgents: boolean): Promise<Settled> {
  return await withServer(async (server, folder) => {
    const admin = new KubeAdmin(server);
    const user = { token: await admin.token("kube-system", "polynic-ipam") };
    const text = kubeconfig({ server: admin.server, ca: server.ca, user, namespace: "kube-system" });
    return await withController(server, "kube-system", text, folder, async (controller) => {
      return await runCluster(server, cluster, { controller, hasAgents });
    });
  });
}

async function withServer<T>(work: (server: ApiServerFacts, folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "polynic-bench-ipam-"));
  const server = await startApiServer(join(folder, "server"));
  try {
    await prepareCluster(server);
    return await work(server, folder);
  } finally {
    if (process.env["KEEP_AUDIT"])
      await Bun.write(process.env["KEEP_AUDIT"], Bun.file(join(folder, "server", "audit.log")));
    await server.stop();
    removeTree(folder);
  }
}

/** What our side shows while a controller of ours runs, and whether the index comes to rest after it. */
async function withController(
  server: ApiServerFacts,
  namespace: string,
  credentials: string,
  folder: string,
  work: (controller: number) => Promise<IpamFigures>,
): Promise<Settled> {
  const file = join(folder, "controller.kubeconfig");
  await Bun.write(file, credentials);
  const command = [join(polynicBin, "polynic"), "controller", "ipam", "--gc-schedule", "@hourly", "--kubeconfig", file];
  const controller = Bun.spawn(command, {
    stdio: ["ignore", "ignore", Bun.file(join(folder, "controller.log"))],
    env: { WHEREABOUTS_NAMESPACE: namespace },
  });
  try {
    const figures = await work(controller.pid);
    const { pools } = await connectPools(server, "polynic-ipam", namespace);
    const left = await eventually(() => disagreements(pools), [], 30_000);
    return { figures, isSettled: left.length === 0 };
  } finally {
    controller.kill("SIGKILL");
    await controller.exited;
  }
}
