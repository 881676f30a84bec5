import { code, CniError } from "../cni/error.ts";
import { isErrno, SystemError } from "../libc/errno.ts";
import type { Fd } from "../libc/fd.ts";
import {
  makeDirectories,
  O_CREAT,
  O_RDWR,
  open,
  readAll,
  readDirectoryIfExists,
  statusIfExists,
  statusOf,
  unlinkIfExists,
  writeAll,
} from "../libc/file.ts";
import { tryLock } from "../libc/lock.ts";
import { describeProcess, endOrphan } from "./orphan.ts";
import { lockPath, locksFolder } from "./paths.ts";

const firstPauseMs = 5;
const pauseMaxMs = 100;
const waitMs = 60_000;

/**
 * The lock of one container: an ADD, a DEL and a GC of the same container never overlap. The file is removed when the lock is given
 * back, so that nothing is left for a pod that is gone; after a kill the next holder reuses and removes it, and ends the foreign plugin that
 * the killed one has left running.
 */
export class ContainerLock implements Disposable {
  private constructor(
    private readonly path: string,
    private readonly fd: Fd,
  ) {}

  /** The lock if nobody holds it now. Throws `CniError` code 5 when its folder can't be written. */
  static tryTake(cniDir: string, containerId: string): ContainerLock | undefined {
    const path = lockPath(cniDir, containerId);
    const fd = openLocked(path);
    return fd === undefined ? undefined : new ContainerLock(path, fd);
  }

  /**
   * Waits up to a minute; then throws `CniError` code 11, since whoever holds it (a slow foreign plugin) still works on the container. In a
   * process that polynic itself has started (`isNested`) the holder is a parent, which would wait for us: that is code 7 at once.
   */
  static async take(cniDir: string, containerId: string, isNested = false): Promise<ContainerLock> {
    for (let waitedMs = 0, pauseMs = firstPauseMs; waitedMs < waitMs; waitedMs += pauseMs) {
      const lock = ContainerLock.tryTake(cniDir, containerId);
      if (lock !== undefined) return lock;
      if (isNested) throw calledAgain(containerId);
      await Bun.sleep(pauseMs);
      pauseMs = Math.min(pauseMs * 2, pauseMaxMs);
    }
    const path = lockPath(cniDir, containerId);
    throw new CniError(
      code.tryAgainLater,
      `another call for container ${containerId} has been running for ${waitMs / 1000} s (lock ${path})`,
    );
  }

  /** Writes down which executable works on the container now, for whoever takes the lock after this process was killed; undefined: none. */
  noteChild(pid: number | undefined): void {
    writeAll(this.fd, `${pid === undefined ? "" : describeProcess(pid)}\n`);
  }

  [Symbol.dispose](): void {
    try {
      unlinkIfExists(this.path);
    } finally {
      this.fd[Symbol.dispose]();
    }
  }
}

function calledAgain(containerId: string): CniError {
  return new CniError(
    code.invalidConfig,
    `multus was called again for container ${containerId} by a plugin that it had called for it`,
    "one of the pod's networks leads back to the dispatcher: look for a config whose delegate is multus",
  );
}

/** The containers that have a lock: a call is running, or one was killed. */
export function lockedContainers(cniDir: string): string[] {
  return readDirectoryIfExists(locksFolder(cniDir)).flatMap(({ name }) => (name.startsWith(".") ? [] : [name]));
}

/** The locked descriptor; undefined while somebody else holds the lock or has just removed the file that was opened here. */
function openLocked(path: string): Fd | undefined {
  const fd = openLock(path);
  let isHeld = false;
  try {
    if (!tryLock(fd)) return undefined;
    const { inode, size } = statusOf(fd);
    isHeld = statusIfExists(path)?.inode === inode;
    if (isHeld && size > 0) endOrphan(lastLine(readAll(fd)));
  } finally {
    if (!isHeld) fd[Symbol.dispose]();
  }
  return isHeld ? fd : undefined;
}

/** Reading leaves the descriptor at the end, where the next line goes. */
function lastLine(content: Uint8Array): string {
  return new TextDecoder().decode(content).split("\n").at(-2) ?? "";
}

function openLock(path: string): Fd {
  const flags = O_RDWR | O_CREAT;
  try {
    try {
      return open(path, flags);
    } catch (error) {
      if (!isErrno(error, "ENOENT")) throw error;
      makeDirectories(path.replace(/\/[^/]*$/, ""), 0o700);
      return open(path, flags);
    }
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    throw new CniError(
      code.io,
      `cniDir can't be used: ${cause.message}`,
      "it needs to be a writable directory with free space: attachments are journaled there before they are made",
      { cause },
    );
  }
}
