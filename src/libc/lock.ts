import { isInterrupted } from "./call.ts";
import type { Fd } from "./fd.ts";
import { libc } from "./ffi.ts";
import { O_CREAT, O_RDWR, open } from "./file.ts";
import { SYS_flock } from "./system-calls.ts";

// include/uapi/asm-generic/fcntl.h
export const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
// include/uapi/asm-generic/errno-base.h
const EAGAIN = 11;
const heldErrors = [EAGAIN];

/**
 * flock(2) for this descriptor alone, or shared with others that ask for `LOCK_SH`, without waiting: false while another is in the way. The lock
 * lives as long as the descriptor.
 */
export function tryLock(fd: Fd, operation: number = LOCK_EX): boolean {
  let result;
  do result = libc().syscall(SYS_flock, fd.number, operation | LOCK_NB, 0, 0, 0);
  while (isInterrupted(result, "flock", fd.subject, heldErrors));
  return result === 0;
}

/** As `tryLock` on the file at `path`, which is made when it is missing: its descriptor, or undefined while another has the lock. */
export function tryLockFile(path: string): Fd | undefined {
  const fd = open(path, O_RDWR | O_CREAT);
  try {
    if (tryLock(fd)) return fd;
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
  fd[Symbol.dispose]();
  return undefined;
}
