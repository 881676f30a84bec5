import { SystemError } from "../../libc/errno.ts";

/** What `work` returns; undefined when a system call fails: what is only remembered may be lost, and is no reason to fail. */
export function unlessBroken<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
