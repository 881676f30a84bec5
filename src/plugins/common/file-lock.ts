import type { CniError } from "../../cni/error.ts";
import type { Fd } from "../../libc/fd.ts";
import { tryLock } from "../../libc/lock.ts";
import { sleep } from "../../libc/process.ts";

/** How long `acquire` waits for a lock. */
export const lockTimeoutMs = 10_000;
const pollMs = 2;

/**
 * Takes flock(2) on the descriptor; it ends with the descriptor, and with the process. By asking again and again: flock(2) itself knows
 * no time limit, and the holder may be a process that hangs. Throws `busy()` after 10 s.
 */
export function acquire(fd: Fd, busy: () => CniError): void {
  const deadline = performance.now() + lockTimeoutMs;
  while (!tryLock(fd)) {
    if (performance.now() > deadline) throw busy();
    sleep(pollMs);
  }
}
