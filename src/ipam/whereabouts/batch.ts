import type { PoolChange, Pools } from "../../cluster/pools/port.ts";
import {
  makeDirectories,
  readDirectoryIfExists,
  readTextIfExists,
  replaceFile,
  statusIfExists,
  tryLockFile,
  unlinkIfExists,
} from "../../libc/file.ts";
import { kill } from "../../libc/process.ts";
import { changeEntry } from "./pool-entry.ts";

/** How long to wait before looking again whether another call's patch has brought ours along. */
const firstPauseMs = 1;
const longestPauseMs = 8;

interface Ask {
  readonly processId: number;
  readonly change: PoolChange;
}

/**
 * Changes one entry of a pool, together with what other calls of this node want changed in it at the same time: each puts its wish into
 * `<data_dir>/writers/<pool>`, and whoever has the lock there writes all of them in one patch, while the next ones gather. So a node has one patch in
 * flight per pool, and many calls cost little more than one. As `changeEntry` in all else.
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

/** All that is wanted now, in one patch; if that is refused each by itself. Answers are given only for what is certain. */
async function writeAll(pools: Pools, folder: string, pool: string): Promise<void> {
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
  const answer = (id: string, isDone: boolean): void => {
    replaceFile(`${folder}/${id}.answer`, isDone ? "yes" : "no", 0o600, `${folder}/.${id}`, false);
  };
  const isDone = asks.size > 1 && (await pools.patchPool(pool, [...asks.values()]));
  for (const [id, change] of asks) answer(id, isDone || (await changeEntry(pools, pool, change)));
}
