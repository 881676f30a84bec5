import { SystemError } from "../../libc/errno.ts";
import type { Fd } from "../../libc/fd.ts";
import { makeDirectories, O_CREAT, O_RDWR, open } from "../../libc/file.ts";
import { tryLock } from "../../libc/lock.ts";

/** So long the calls before are waited for. */
const waitMs = 10_000;
const firstPauseMs = 1;
const longestPauseMs = 8;

/**
 * Waits until no other call of this node has the turn of that name, `<data_dir>/seen/<name>`, and takes it; the turn ends with the descriptor. After
 * ten seconds, and where the file can't be had, without: two calls then do the same work, no more.
 */
export async function takeTurn(dataDir: string, name: string): Promise<Fd | undefined> {
  const fd = openTurn(dataDir, name);
  if (fd === undefined) return undefined;
  const deadline = performance.now() + waitMs;
  for (let pauseMs = firstPauseMs; !tryLock(fd) && performance.now() < deadline;) {
    await Bun.sleep(pauseMs);
    pauseMs = Math.min(2 * pauseMs, longestPauseMs);
  }
  return fd;
}

/** The file of a turn, not locked; undefined where it can't be had. */
export function openTurn(dataDir: string, name: string): Fd | undefined {
  try {
    makeDirectories(`${dataDir}/seen`, 0o700);
    return open(`${dataDir}/seen/${name}`, O_RDWR | O_CREAT, 0o600);
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
