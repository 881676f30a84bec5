// whereabouts beside its Go original: the same addresses, asked for by a process per ADD as a runtime would.
import { join } from "node:path";
import { parsePrefix } from "../src/ip/prefix.ts";
import { claimScope } from "../src/pool/claim.ts";
import { poolName } from "../src/pool/names.ts";
import type { ApiServerFacts } from "../test/kit/api-server.ts";
import { AuditLog } from "../test/kit/audit-log.ts";
import { disagreements, DuplicateDetector } from "../test/kit/duplicate-detector.ts";
import { addressesOf, inParallel, IpamSide, type Json } from "../test/kit/ipam-side.ts";
import { eventually, type IpamWorld } from "../test/kit/ipam-world.ts";
import { serverCpuMs } from "./server-cpu.ts";

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

/** What one side has shown under a load. */
export interface IpamFigures {
  readonly addMs: readonly number[];
  readonly addWallMs: number;
  readonly delWallMs: number;
  readonly failed: number;
  readonly requestsPerAdd: number;
  readonly serverCpuMs: number;
  readonly claims: number;
  readonly duplicates: number;
}

const settleTimeoutMs = 120_000;

/** ADDs, then DELs, of one load by one side. */
export async function runLoad(
  api: ApiServerFacts,
  world: IpamWorld,
  sideName: "go" | "ours",
  load: IpamLoad,
  folder: string,
): Promise<IpamFigures> {
  const side = await IpamSide.make(sideName, world, join(folder, sideName));
  if (load.taken !== undefined) await take(world, sideName, load);
  const detector = new DuplicateDetector();
  const audit = new AuditLog(api);
  const sandboxes = Array.from({ length: load.adds }, (_, index) => `s${index}`);
  const callOf = (sandbox: string) => ({
    range: load.range,
    sandbox,
    node: `node-${Number(sandbox.slice(1)) % (load.nodes ?? 1)}`,
    ...(load.over === undefined ? {} : { over: load.over }),
  });
  const addMs: number[] = [];
  let failed = 0;
  const cpuBefore = serverCpuMs(api.folder);
  const began = performance.now();
  await inParallel(sandboxes, load.width, async (sandbox) => {
    const outcome = await side.call("ADD", callOf(sandbox));
    const addresses = addressesOf(outcome);
    if (addresses.length === 0) failed++;
    else addMs.push(outcome.durationMs);
    detector.added(sandbox, addresses);
  });
  const addWallMs = performance.now() - began;
  const cpu = serverCpuMs(api.folder) - cpuBefore;
  // Those of the controller are counted by its own account.
  const account = `system:serviceaccount:kube-system:${sideName === "go" ? "whereabouts" : "polynic"}`;
  const requests = audit.countByNamespace((user) => user === account).get(world.namespace) ?? 0;
  const delBegan = performance.now();
  await inParallel(sandboxes, load.width, async (sandbox) => {
    detector.deleting(sandbox);
    await side.call("DEL", callOf(sandbox));
  });
  return {
    addMs,
    addWallMs,
    delWallMs: performance.now() - delBegan,
    failed,
    requestsPerAdd: requests / load.adds,
    serverCpuMs: cpu,
    claims: detector.claims,
    duplicates: detector.duplicates.length,
  };
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
