import { systemCall } from "./call.ts";
import { isErrno } from "./errno.ts";
import { rareLibc } from "./ffi.ts";

export const SIGKILL = 9;

/** kill(2); a negative pid names a process group. False when there is no such process (any more). */
export function kill(pid: number, signal: number): boolean {
  try {
    systemCall("kill", String(pid), () => rareLibc().kill(pid, signal));
    return true;
  } catch (error) {
    if (isErrno(error, "ESRCH")) return false;
    throw error;
  }
}

/** The effective user id: 0 is root. */
export function effectiveUserId(): number {
  return rareLibc().geteuid();
}

/** Blocks this thread; for the exec path's short waits, where nothing else has to go on meanwhile. */
export function sleep(milliseconds: number): void {
  const request = new BigInt64Array([
    BigInt(Math.floor(milliseconds / 1000)),
    BigInt(Math.floor((milliseconds % 1000) * 1e6)),
  ]);
  rareLibc().nanosleep(new Uint8Array(request.buffer), null);
}
