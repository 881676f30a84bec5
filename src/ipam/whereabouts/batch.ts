import type { PoolChange, Pools } from "../../cluster/pools/port.ts";
import {
  makeDirectories,
  readDirectoryIfExists,
  readTextIfExists,
  replaceFile,
  statusIfExists,
  unlinkIfExists,
  writeFile,
} from "../../libc/file.ts";
import { tryLockFile } from "../../libc/lock.ts";
import { kill } from "../../libc/process.ts";
import { changeEntries } from "./pool-entry.ts";

/** How long to wait before looking again whether another call's patch has brought ours along. */
const firstPauseMs = 1;
const longestPauseMs = 8;
/** The longest that a patch is held back for calls that are about to want one too, and how much of what the last one took. */
const longestGatherMs = 100;
const gatherPart = 0.5;
/** A patch so long ago says nothing about now. */
const freshMs = 1000;

interface Ask {
  readonly processId: number;
  readonly change: PoolChange;
}

/**
 * Changes one entry of a pool, together with what other calls of this node want changed in it at the same time: each puts its wish into
 * `<data_dir>/writers/<pool>`, and whoever has the lock there writes all of them in one patch, while the next ones gather. So a node has one patch in
 * flight per pool, and many calls cost little more than one. As `changeEntries` in all else.
 */
export async function changeTogether(
  pools: Pools,
  dataDir: string,
  pool: string,
  change: PoolChange,
): Promise<boolean> {
  const folder = `${dataDir}/writers/${pool}`;
  const id = crypto.randomUUID();
  const ask: Ask = { processId: process.pid, change };
  if (statusIfExists(folder) === undefined) makeDirectories(folder, 0o700);
  replaceFile(`${folder}/${id}.ask`, JSON.stringify(ask), 0o600, `${folder}/.${id}`, false);
  try {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      const answer = readTextIfExists(`${folder}/${id}.answer`);
      if (answer !== undefined) return answer === "yes";
      using lock = tryLockFile(`${folder}/.lock`);
      if (lock !== undefined) await writeAll(pools, folder, pool);
      else await Bun.sleep(pauseMs);
    }
  } finally {
    for (const end of ["ask", "answer"]) unlinkIfExists(`${folder}/${id}.${end}`);
  }
}

/**
 * Waits for calls that were answered together and whose successors want to be written together too: on a large pool a patch takes so long that
 * half of it waited makes fewer of them. A call by itself does not wait. `.last` says what the last patch took, and how many changes it had.
 */
async function gather(folder: string): Promise<void> {
  const path = `${folder}/.last`;
  const endedMs = Number((statusIfExists(path)?.modifiedNs ?? 0n) / 1_000_000n);
  if (!(Date.now() - endedMs < freshMs)) return;
  const [tookMs = 0, count = 0] = (readTextIfExists(path) ?? "").split(" ").map(Number);
  if (count > 1) await Bun.sleep(Math.min(longestGatherMs, tookMs * gatherPart));
}

/** All that is wanted now. Answers are given only for what is certain. */
async function writeAll(pools: Pools, folder: string, pool: string): Promise<void> {
  await gather(folder);
  const asks = new Map<string, PoolChange>();
  for (const { name } of readDirectoryIfExists(folder)) {
    const id = name.endsWith(".ask") ? name.slice(0, -".ask".length) : "";
    const text = id === "" ? undefined : readTextIfExists(`${folder}/${name}`);
    if (text === undefined || statusIfExists(`${folder}/${id}.answer`) !== undefined) continue;
    const { processId, change } = JSON.parse(text) as Ask;
    // Of a process that was killed its DEL takes care: what is written for it now might come after that.
    if (kill(processId, 0)) asks.set(id, change);
    else unlinkIfExists(`${folder}/${name}`);
  }
  if (asks.size === 0) return;
  const began = performance.now();
  const outcomes = await changeEntries(pools, pool, [...asks.values()]);
  writeFile(`${folder}/.last`, `${Math.round(performance.now() - began)} ${asks.size}`);
  for (const [index, id] of [...asks.keys()].entries())
    replaceFile(`${folder}/${id}.answer`, outcomes[index] === true ? "yes" : "no", 0o600, `${folder}/.${id}`, false);
}
