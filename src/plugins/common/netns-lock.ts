import { CniError, code } from "../../cni/error.ts";
import type { Fd } from "../../libc/fd.ts";
import { O_RDONLY, open } from "../../libc/file.ts";
import type { Netns } from "../../netns/netns.ts";
import { acquire, lockTimeoutMs } from "./file-lock.ts";

/**
 * Runs `body` while no other process of ours does the like in the same network namespace: for settings that several attachments share and
 * that are looked at before they are changed. The lock is flock(2) on the namespace itself, so there is no file to be left behind, and it
 * ends with the process. For the node's namespace only: that of a pod could be locked by any process of the pod. Short work only. Throws
 * `CniError` code 11 when another holds it for 10 s.
 */
export function withNetnsLock<T>(netns: Netns, body: () => T): T {
  using _lock = lock(netns);
  return body();
}

/** As `withNetnsLock`, for work that waits for other programs; the work itself must not ask for the lock again. */
export async function withNetnsLockHeld<T>(netns: Netns, body: () => Promise<T>): Promise<T> {
  using _lock = lock(netns);
  return await body();
}

/** A descriptor of its own: flock(2) counts by open file, and the namespace's is shared by all calls of this process. */
function lock(netns: Netns): Fd {
  const fd = open(`/proc/thread-self/fd/${netns.fd.number}`, O_RDONLY);
  try {
    acquire(fd, () => busy(netns));
    return fd;
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
}

function busy(netns: Netns): CniError {
  return new CniError(
    code.tryAgainLater,
    `another call has been changing shared settings of ${netns.path} for ${lockTimeoutMs / 1000} s`,
  );
}
