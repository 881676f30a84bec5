import type { Fd } from "../libc/fd.ts";
import { O_CREAT, O_RDWR, open, statusIfExists, statusOf } from "../libc/file.ts";
import { tryLock } from "../libc/lock.ts";
import { sleep } from "../libc/process.ts";
import { ClusterError } from "./port.ts";

const lockTimeoutMs = 5000;
const lockPollMs = 2;

/**
 * The lock of a file, which is made when it is missing; it ends with the descriptor. A writer replaces the file, so the one that was locked
 * may be nobody's any more by the time the lock is held: then the new one is locked instead. Throws `ClusterError` "unavailable" after 5 s.
 */
export function lock(path: string): Fd {
  const deadline = performance.now() + lockTimeoutMs;
  for (;;) {
    const fd = open(path, O_RDWR | O_CREAT, 0o644);
    try {
      if (isLocked(fd, deadline) && statusOf(fd).inode === statusIfExists(path)?.inode) return fd;
    } catch (error) {
      fd[Symbol.dispose]();
      throw error;
    }
    fd[Symbol.dispose]();
    if (performance.now() > deadline)
      throw new ClusterError("unavailable", `lock ${path}`, `another process has held it for ${lockTimeoutMs} ms`);
  }
}

function isLocked(fd: Fd, deadline: number): boolean {
  while (!tryLock(fd)) {
    if (performance.now() > deadline) return false;
    sleep(lockPollMs);
  }
  return true;
}
