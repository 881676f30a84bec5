// whereabouts beside its Go original: the same addresses, asked for by a process per ADD as a runtime would.
import { join } from "node:path";
import { parsePrefix } from "../src/ip/prefix.ts";
import { claimScope } from "../src/pool/claim.ts";
import { poolName } from "../src/pool/names.ts";
import type { TestAgent } from "../test/kit/agent.ts";
import type { ApiServerFacts } from "../test/kit/api-server.ts";
import { AuditLog } from "../test/kit/audit-log.ts";
import { disagreements, DuplicateDetector } from "../test/kit/duplicate-detector.ts";
import { addressesOf, inParallel, IpamSide, type Json } from "../test/kit/ipam-side.ts";
import { eventually, type IpamWorld } from "../test/kit/ipam-world.ts";
import { processCpuMs, serverCpuMs } from "./cpu-meter.ts";

/** One line of the table: what is asked of both sides. */
export interface IpamLoad {
  readonly what: string;
  readonly range: string;
  /** ADDs in all, and processes at once. */
  readonly adds: number;
  readonly width: number;
  /** Addresses that are taken before. */
  readonly taken?: number;
  readonly over?: Json;
  /** Nodes that the ADDs are spread over. */
  readonly nodes?: number;
}

/**
 * Who is measured: Go whereabouts, ours as it comes, ours with `polynic agent` on the node, and that where no Go node is left (`"coexist": false`).
 */
export const sides = ["go", "ours", "agent", "alone"] as const;
export type Side = (typeof sides)[number];

/** What all ADDs, or all DELs, of a load took together. */
export interface Phase {
  readonly wallMs: number;
  /** Processor time of the calls' own processes, and of the agents and their workers. */
  readonly ownCpuMs: number;
  /** Processor time of the API server and its etcd. */
  readonly serverCpuMs: number;
  /** Of the controller of ours; 0 for Go. */
  readonly controllerCpuMs: number;
  readonly requests: number;
}

/** What one side has shown under a load. */
export interface IpamFigures {
  /** Of each ADD that succeeded. */
  readonly addMs: readonly number[];
  readonly add: Phase;
  readonly del: Phase;
  readonly failed: number;
  readonly claims: number;
  readonly duplicates: number;
  /** Calls that an agent did. */
  readonly agentCalls: number;
}

/** What a phase is measured by. */
export interface Meters {
  readonly server: ApiServerFacts;
  /** Counts requests of this account since it was last asked. */
  readonly requests: () => number;
  readonly agents: readonly TestAgent[];
  /** Process ids. */
  readonly controllers: readonly number[];
}

const settleTimeoutMs = 120_000;

/** Does all the work of a phase; `work` returns the processor time of the processes that it started. */
export async function measurePhase(meters: Meters, work: () => Promise<number>): Promise<Phase> {
  const { server, controllers } = meters;
  const agents = meters.agents.flatMap((agent) => [agent.pid, ...agent.workers()]);
  meters.requests();
  const before = [serverCpuMs(server.folder), processCpuMs(agents), processCpuMs(controllers)] as const;
  const began = performance.now();
  const ownCpuMs = await work();
  const wallMs = performance.now() - began;
  const workers = meters.agents.flatMap((agent) => [agent.pid, ...agent.workers()]);
  return {
    wallMs,
    ownCpuMs: ownCpuMs + processCpuMs(workers) - before[1],
    serverCpuMs: serverCpuMs(server.folder) - before[0],
    controllerCpuMs: processCpuMs(controllers) - before[2],
    requests: meters.requests(),
  };
}

/** How many ADDs and DELs the agents have done since. */
export function countAgentCalls(agents: readonly TestAgent[]): number {
  return agents.reduce((sum, agent) => sum + agent.calls(), 0);
}

/** ADDs, then DELs, of one load by one side. */
export async function runLoad(
  world: IpamWorld,
  sideName: Side,
  load: IpamLoad,
  { folder, agent, controller }: { readonly folder: string; readonly agent?: TestAgent; readonly controller?: number },
): Promise<IpamFigures> {
  const implementation = sideName === "go" ? "go" : "ours";
  const side = await IpamSide.make(implementation, world, join(folder, sideName), undefined, agent);
  if (load.taken !== undefined) await take(world, implementation, load);
  const detector = new DuplicateDetector();
  const audit = new AuditLog(world.api);
  // Those of the controller are counted by its own account.
  const account = `system:serviceaccount:kube-system:${implementation === "go" ? "whereabouts" : "polynic"}`;
  const meters: Meters = {
    server: world.api,
    requests: () => audit.countByNamespace((user) => user === account).get(world.namespace) ?? 0,
    agents: agent === undefined ? [] : [agent],
    controllers: controller === undefined ? [] : [controller],
  };
  const sandboxes = Array.from({ length: load.adds }, (_, index) => `s${index}`);
  const callOf = (sandbox: string) => ({
    range: load.range,
    sandbox,
    node: `node-${Number(sandbox.slice(1)) % (load.nodes ?? 1)}`,
    ...(load.over === undefined ? {} : { over: load.over }),
  });
  const addMs: number[] = [];
  let failed = 0;
  const callsBefore = countAgentCalls(meters.agents);
  const add = await measurePhase(meters, async () => {
    let cpuMs = 0;
    await inParallel(sandboxes, load.width, async (sandbox) => {
      const outcome = await side.call("ADD", callOf(sandbox));
      const addresses = addressesOf(outcome);
      if (addresses.length === 0) failed++;
      else addMs.push(outcome.durationMs);
      detector.added(sandbox, addresses);
      cpuMs += outcome.cpuMs;
    });
    return cpuMs;
  });
  const del = await measurePhase(meters, async () => {
    let cpuMs = 0;
    await inParallel(sandboxes, load.width, async (sandbox) => {
      detector.deleting(sandbox);
      const outcome = await side.call("DEL", callOf(sandbox));
      cpuMs += outcome.cpuMs;
    });
    return cpuMs;
  });
  const { claims, duplicates } = detector;
  const agentCalls = countAgentCalls(meters.agents) - callsBefore;
  return { addMs, add, del, failed, claims, duplicates: duplicates.length, agentCalls };
}

/** As so many pods before would have left it: an entry and a reservation for each, from the lowest address on. */
async function take(world: IpamWorld, side: "go" | "ours", { range, taken = 0, over = {} }: IpamLoad): Promise<void> {
  const checksOverlaps = over["enable_overlapping_ranges"] !== false;
  const numbers = Array.from({ length: taken }, (_, index) => index + 1);
  if (side === "go" || !checksOverlaps) {
    await world.goPool(range, Object.fromEntries(numbers.map((key) => [String(key), `default/before-${key}`])));
    const base = range.replace(/\.\d+\.\d+\/.*/, "");
    const third = Number(range.split(".")[2]);
    if (checksOverlaps)
      await inParallel(numbers, 40, async (key) => {
        await world.goReservation(`${base}.${third + (key >> 8)}.${key & 255}`, `default/before-${key}`);
      });
    return;
  }
  const base = range.replace(/\.\d+\.\d+\/.*/, "");
  const third = Number(range.split(".")[2]);
  const network = parsePrefix(range);
  if (network === undefined) throw new TypeError(range);
  await world.pools.createPool(poolName({ range: network, network: "" }), range, claimScope("network"));
  await inParallel(numbers, 10, async (key) => {
    const address = `${base}.${third + (key >> 8)}.${key & 255}`;
    await world.claim({ range, address, podref: `default/before-${key}` });
  });
  // Taken long before: the index shows them.
  await eventually(() => disagreements(world.pools), [], settleTimeoutMs);
}
