import { isInterrupted, systemCall } from "./call.ts";
import type { Fd } from "./fd.ts";
import { cString, libc, rareLibc } from "./ffi.ts";
import { SYS_ioctl, SYS_setns } from "./system-calls.ts";

// include/uapi/linux/sched.h
export const CLONE_NEWNS = 0x0002_0000;
export const CLONE_NEWNET = 0x4000_0000;

// include/uapi/linux/mount.h and include/linux/fs.h
export const MS_BIND = 4096;
export const MS_REC = 16384;
export const MS_PRIVATE = 1 << 18;
export const MS_SHARED = 1 << 20;
export const MNT_DETACH = 2;

// include/uapi/linux/nsfs.h
const NS_GET_NSTYPE = 0xb703;
/** EPERM, EINVAL, ENOTTY: what files that are no namespace say, each in its own way. */
const refusals = [1, 22, 25];

/**
 * The kind of a namespace by ioctl_ns(2), as its CLONE_NEW… flag; undefined for a file that is no namespace, and where the kernel is older than
 * 4.11.
 */
export function namespaceType(namespace: Fd): number | undefined {
  let type;
  do type = libc().syscall(SYS_ioctl, namespace.number, NS_GET_NSTYPE, 0, 0, 0);
  while (isInterrupted(type, "ioctl", namespace.subject, refusals));
  return type === -1 ? undefined : type;
}

/** setns(2): moves the calling thread; everything it does afterwards happens there until it is moved back. */
export function setns(namespace: Fd, type: number): void {
  let result;
  do result = libc().syscall(SYS_setns, namespace.number, type, 0, 0, 0);
  while (isInterrupted(result, "setns", namespace.subject));
}

/** unshare(2): gives the calling thread fresh namespaces. */
export function unshare(flags: number): void {
  systemCall("unshare", "", () => rareLibc().unshare(flags));
}

/** mount(2); `source` and `type` may be "" where the flags need none. */
export function mount(source: string, target: string, type: string, flags: number, data = ""): void {
  const from = source === "" ? null : cString(source);
  const to = cString(target);
  const kind = type === "" ? null : cString(type);
  const options = data === "" ? null : cString(data);
  systemCall("mount", target, () => rareLibc().mount(from, to, kind, flags, options));
}

/** umount2(2). Throws `SystemError` (EINVAL when nothing is mounted there). */
export function unmount(target: string, flags: number): void {
  const name = cString(target);
  systemCall("umount2", target, () => rareLibc().umount2(name, flags));
}
