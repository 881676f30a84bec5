// `npm run bench -- node`: what a pod's networks cost on a node, polynic with and without its agent beside Go Multus with the Go plugins, on one
// containerd and one API server in turn; writes docs/performance-node.md.
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { startApiServer } from "../test/kit/api-server.ts";
import { AuditLog } from "../test/kit/audit-log.ts";
import { cgroupEnvironment, makeLaneCgroup, removeCgroups } from "../test/kit/cgroups.ts";
import { prepareCluster } from "../test/kit/cluster.ts";
import { CriNode } from "../test/kit/cri-node.ts";
import { busybox, containerd, ensureProgram, etcd, runc } from "../test/kit/debian-program.ts";
import { isolated } from "../test/kit/isolation.ts";
import { KubeAdmin } from "../test/kit/kube-admin.ts";
import { buildPeers } from "../test/kit/peer-tools.ts";
import {
  accountLoad,
  type Accounts,
  type Cost,
  type Load,
  metricsAddress,
  runLoad,
  type Site,
  sumCosts,
  warmLoad,
} from "./node-load.ts";
import { renderPage, type LoadResult } from "./node-page.ts";
import { NodeSides, type Side, sides } from "./node-side.ts";
import { repeatedDeletions } from "./repeated-del.ts";

const insideMark = "POLYNIC_BENCH_INSIDE";
const networkCounts = [0, 1, 4] as const;
const warmRounds = 6;
/** How many pods at once, and how often. */
const loads = [
  { atOnce: 1, rounds: 8 },
  { atOnce: 10, rounds: 2 },
  { atOnce: 50, rounds: 1 },
] as const;

function say(line: string): void {
  process.stderr.write(`polynic: ${line}\n`);
}

/** Outside: prepares, then starts itself again in namespaces of its own. Inside: measures. */
async function main(): Promise<number> {
  if (process.env[insideMark] === undefined) {
    for (const group of ["plugins", "kubernetes", "cri"] as const) await buildPeers(say, group);
    for (const program of [etcd, containerd, runc, busybox]) {
      const problem = ensureProgram(program, say);
      if (problem !== undefined) throw new Error(problem);
    }
    const child = Bun.spawn(isolated([process.execPath, import.meta.filename], "node"), {
      env: { ...process.env, ...cgroupEnvironment("bench"), [insideMark]: "1" },
      stdio: ["ignore", "inherit", "inherit"],
    });
    const code = await child.exited;
    removeCgroups(cgroupEnvironment("bench"));
    return code;
  }
  makeLaneCgroup();
  await using node = new CriNode();
  await node.start({ metricsAddress });
  const api = await startApiServer(node.path("api"));
  try {
    await prepareCluster(api);
    const admin = new KubeAdmin(api);
    const site: Site = { node, admin, audit: new AuditLog(api), sides: new NodeSides(node) };
    await site.sides.prepare(api, admin, Math.max(...networkCounts));
    const loadBefore = loadavg()[0] ?? Number.NaN;
    const results = await measureAll(site);
    const deletions = await repeatedDeletions(site);
    await site.sides.end();
    const page = renderPage(results, deletions, loadBefore);
    process.stdout.write(page);
    writeFileSync(join(import.meta.dirname, "..", "docs", "performance-node.md"), page);
  } finally {
    await api.stop();
  }
  return 0;
}

async function measureAll(site: Site): Promise<LoadResult[]> {
  // What is read from disk once, and the first addresses of pools, are nobody's.
  for (const side of sides) await runLoad(site, side, { networks: 1, atOnce: 2 });
  // An agent of a node has been there for long.
  for (let round = 0; round < warmRounds; round++) await runLoad(site, "agent", warmLoad);
  const results: LoadResult[] = [];
  for (const networks of networkCounts) {
    for (const { atOnce, rounds } of loads) {
      const load = { networks, atOnce };
      say(`measuring ${atOnce} pods at once with ${networks} networks`);
      results.push({ load, costs: await inTurn(site, load, rounds), accounts: await accountAll(site, load) });
    }
  }
  return results;
}

/** The sides one after the other in each round, so that what the machine does besides hits all of them. */
async function inTurn(site: Site, load: Load, rounds: number): Promise<Record<Side, Cost>> {
  const costs: Record<Side, Cost[]> = { multus: [], polynic: [], agent: [] };
  for (let round = 0; round < rounds; round++)
    for (const side of sides) costs[side].push(await runLoad(site, side, load));
  return { multus: sumCosts(costs.multus), polynic: sumCosts(costs.polynic), agent: sumCosts(costs.agent) };
}

async function accountAll(site: Site, load: Load): Promise<Record<Side, Accounts>> {
  return {
    multus: await accountLoad(site, "multus", load),
    polynic: await accountLoad(site, "polynic", load),
    agent: await accountLoad(site, "agent", load),
  };
}

process.exit(await main());
