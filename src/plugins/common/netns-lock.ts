import { CniError, code } from "../../cni/error.ts";
import { isErrno } from "../../libc/errno.ts";
import type { Fd } from "../../libc/fd.ts";
import { flock, LOCK_EX, LOCK_NB, O_RDONLY, open } from "../../libc/file.ts";
import { sleep } from "../../libc/process.ts";
import type { Netns } from "../../netns/netns.ts";

const lockTimeoutMs = 10_000;
const pollMs = 2;

/**
 * Runs `body` while no other process of ours does the like in the same network namespace: for settings that several attachments share and
 * that are looked at before they are changed. The lock is flock(2) on the namespace itself, so there is no file to be left behind, and it
 * ends with the process. Short work only. Throws `CniError` code 11 when another holds it for 10 s.
 */
export function withNetnsLock<T>(netns: Netns, body: () => T): T {
  // A descriptor of its own: flock(2) counts by open file, and the namespace's is shared by all calls of this process.
  using fd = open(`/proc/thread-self/fd/${netns.fd.number}`, O_RDONLY);
  acquire(fd, netns);
  return body();
}

function acquire(fd: Fd, netns: Netns): void {
  const deadline = performance.now() + lockTimeoutMs;
  for (;;) {
    try {
      flock(fd, LOCK_EX | LOCK_NB);
      return;
    } catch (error) {
      if (!isErrno(error, "EAGAIN")) throw error;
      if (performance.now() > deadline) throw busy(netns);
    }
    sleep(pollMs);
  }
}

function busy(netns: Netns): CniError {
  return new CniError(
    code.tryAgainLater,
    `another call has been changing shared settings of ${netns.path} for ${lockTimeoutMs / 1000} s`,
  );
}
