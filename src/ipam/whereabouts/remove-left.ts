import type { Pools, PoolsSource } from "../../cluster/pools/port.ts";
import { tryLockFile } from "../../libc/lock.ts";
import { removeLeft } from "./batch.ts";
import { forgetLeft, leftEntries, poolsWithLeft, writersFolder } from "./left-entry.ts";

/** What is left within such a time goes together; while DELs go on it is waited for, but not longer than this. */
const quietMs = 200;
const longestWaitMs = 1000;
/** How often a pool is tried that calls of this node are writing all the time: they take what is left along. */
const mostRounds = 30;

/** True when entries are left, and nobody is about to take them out. */
export function needsRemover(dataDir: string): boolean {
  if (poolsWithLeft(dataDir).length === 0) return false;
  using lock = tryLockFile(removerPath(dataDir));
  return lock !== undefined;
}

/**
 * Takes the entries out that DELs of this node have left, in batches, until none is left: one process per node. Returns at once when there is one already.
 * Throws `ClusterError`; what is left then goes with the next call's.
 */
export async function removeAllLeft(dataDir: string, connect: (source: PoolsSource) => Promise<Pools>): Promise<void> {
  for (let round = 0; round < mostRounds && poolsWithLeft(dataDir).length > 0; round++) {
    using lock = tryLockFile(removerPath(dataDir));
    if (lock === undefined) return;
    await untilQuiet(dataDir);
    for (const pool of poolsWithLeft(dataDir)) await removeFrom(dataDir, pool, connect);
  }
}

async function untilQuiet(dataDir: string): Promise<void> {
  let seen = countLeft(dataDir);
  for (let waitedMs = 0; waitedMs < longestWaitMs; waitedMs += quietMs) {
    await Bun.sleep(quietMs);
    const now = countLeft(dataDir);
    if (now <= seen) return;
    seen = now;
  }
}

function countLeft(dataDir: string): number {
  let count = 0;
  for (const pool of poolsWithLeft(dataDir)) count += leftEntries(writersFolder(dataDir, pool)).length;
  return count;
}

async function removeFrom(
  dataDir: string,
  pool: string,
  connect: (source: PoolsSource) => Promise<Pools>,
): Promise<void> {
  const done = new Set<string>();
  for (const left of leftEntries(writersFolder(dataDir, pool))) {
    if (done.has(left.store)) continue;
    const pools = await connect(left.source);
    // The credentials lead elsewhere by now: that the claim is gone is for the controller there to see.
    if (pools.where !== left.store) forgetLeft(left);
    else await removeLeft(pools, dataDir, pool);
    done.add(pools.where);
  }
}

/** Held by whoever takes them out. */
function removerPath(dataDir: string): string {
  return `${dataDir}/writers/.remover`;
}
