import type { Fd } from "../../libc/fd.ts";
import { statusOf, writeAll } from "../../libc/file.ts";
import { LOCK_SH, tryLock } from "../../libc/lock.ts";
import { openTurn } from "./turn.ts";

/** So long the call that makes it is waited for; then the next one makes it too, and the store decides. */
const waitMs = 10_000;
const pauseMs = 5;

/**
 * Has one call of this node make what it found missing, while its other calls wait and then find it: at a burst on a new pool each would make
 * three requests to no end. The lock is `<data_dir>/seen/<name>.made`.
 */
export async function makeOnce<T>(
  dataDir: string,
  name: string,
  find: () => Promise<T | undefined>,
  make: () => Promise<T>,
): Promise<T> {
  using fd = openTurn(dataDir, `${name}.made`);
  if (fd === undefined) return await make();
  const isFirst = tryLock(fd);
  if (!isFirst) await waitForMaker(fd);
  // Whoever comes after the one that made it has seen it missing before that.
  const isMade = !isFirst || statusOf(fd).size > 0;
  const made = (isMade ? await find() : undefined) ?? (await make());
  if (isFirst && !isMade) writeAll(fd, "\n");
  return made;
}

async function waitForMaker(fd: Fd): Promise<void> {
  const deadline = performance.now() + waitMs;
  while (!tryLock(fd, LOCK_SH) && performance.now() < deadline) await Bun.sleep(pauseMs);
}
