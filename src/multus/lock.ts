import { code, CniError } from "../cni/error.ts";
import { isErrno } from "../libc/errno.ts";
import type { Fd } from "../libc/fd.ts";
import {
  flock,
  LOCK_EX,
  LOCK_NB,
  makeDirectories,
  O_CREAT,
  O_RDWR,
  open,
  statusIfExists,
  statusOf,
  unlinkIfExists,
} from "../libc/file.ts";

const firstPauseMs = 5;
const pauseMaxMs = 100;
const waitMs = 60_000;

/**
 * The lock of one container: an ADD, a DEL and a GC of the same container never overlap. The file is removed when the lock is given
 * back, so that nothing is left for a pod that is gone; after a kill the next holder reuses and removes it.
 */
export class ContainerLock implements Disposable {
  private constructor(
    private readonly path: string,
    private readonly fd: Fd,
  ) {}

  /** Waits up to a minute; then throws `CniError` code 11, since whoever holds it (a slow foreign plugin) still works on the container. */
  static async take(cniDir: string, containerId: string): Promise<ContainerLock> {
    const folder = `${cniDir}/locks`;
    makeDirectories(folder, 0o700);
    const path = `${folder}/${containerId}`;
    for (let waitedMs = 0, pauseMs = firstPauseMs; waitedMs < waitMs; waitedMs += pauseMs) {
      const fd = tryLock(path);
      if (fd !== undefined) return new ContainerLock(path, fd);
      await Bun.sleep(pauseMs);
      pauseMs = Math.min(pauseMs * 2, pauseMaxMs);
    }
    throw new CniError(
      code.tryAgainLater,
      `another call for container ${containerId} has been running for ${waitMs / 1000} s (lock ${path})`,
    );
  }

  [Symbol.dispose](): void {
    unlinkIfExists(this.path);
    this.fd[Symbol.dispose]();
  }
}

/** The locked descriptor; undefined while somebody else holds the lock or has just removed the file that was opened here. */
function tryLock(path: string): Fd | undefined {
  const fd = open(path, O_RDWR | O_CREAT, 0o600);
  try {
    flock(fd, LOCK_EX | LOCK_NB);
    if (statusIfExists(path)?.inode === statusOf(fd).inode) return fd;
  } catch (error) {
    if (!isErrno(error, "EAGAIN")) throw error;
  }
  fd[Symbol.dispose]();
  return undefined;
}
