import { systemCall } from "./call.ts";
import { isErrno } from "./errno.ts";
import { addressOf, cString, libc, rareLibc } from "./ffi.ts";
import { SYS_chroot, SYS_getppid, SYS_prctl, SYS_umask } from "./system-calls.ts";

export const SIGKILL = 9;
// include/uapi/linux/prctl.h
const PR_SET_PDEATHSIG = 1;

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

/** What the kernel sends this process when its parent ends (prctl(2) PR_SET_PDEATHSIG); 0 for nothing. */
export function setParentDeathSignal(signal: number): void {
  systemCall("prctl", "", () => libc().syscall(SYS_prctl, PR_SET_PDEATHSIG, signal, 0, 0, 0));
}

/** The parent's process id; another one's after the parent has ended. */
export function parentProcess(): number {
  return libc().syscall(SYS_getppid, 0, 0, 0, 0, 0);
}

/** umask(2): the mask that was in force before. */
export function setUmask(mask: number): number {
  return libc().syscall(SYS_umask, mask, 0, 0, 0, 0);
}

/** chroot(2), and the working directory with it. */
export function enterRoot(folder: string): void {
  const name = cString(folder);
  systemCall("chroot", folder, () => libc().syscall(SYS_chroot, addressOf(name), 0, 0, 0, 0));
  process.chdir("/");
}
