// Keeps a test whose paths are made by chance from writing where it has no business: the kernel refuses it.
import { isInterrupted } from "../../src/libc/call.ts";
import { addressOf, cString, libc } from "../../src/libc/ffi.ts";
import { CLONE_NEWNS, mount, MS_BIND, MS_PRIVATE, MS_REC, unshare } from "../../src/libc/namespace.ts";

// include/uapi/asm-generic/unistd.h, the same on every architecture; Linux 5.12
const SYS_mount_setattr = 442;
// include/uapi/linux/fcntl.h
const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
// include/uapi/linux/mount.h
const MOUNT_ATTR_RDONLY = 1n;
const mountAttrBytes = 32;

/**
 * From now on this thread, and every process that it starts, can write below `folders` only: everything else is mounted read-only, in a mount
 * namespace of the thread's own (other threads are left as they are). Throws `SystemError`: EPERM without the right to mount, ENOSYS before 5.12.
 */
export function fenceIn(...folders: readonly string[]): void {
  unshare(CLONE_NEWNS);
  mount("", "/", "", MS_REC | MS_PRIVATE);
  for (const folder of folders) mount(folder, folder, "", MS_BIND | MS_REC);
  setReadOnly("/", true);
  for (const folder of folders) setReadOnly(folder, false);
}

/** mount_setattr(2) on everything that is mounted at `path` and below. */
function setReadOnly(path: string, isReadOnly: boolean): void {
  // struct mount_attr: u64 attr_set, attr_clr, propagation, userns_fd
  const attributes = new BigUint64Array(mountAttrBytes / 8);
  attributes[isReadOnly ? 0 : 1] = MOUNT_ATTR_RDONLY;
  const memory = new Uint8Array(attributes.buffer);
  const name = cString(path);
  let result;
  do
    result = libc().syscall(
      SYS_mount_setattr,
      AT_FDCWD,
      addressOf(name),
      AT_RECURSIVE,
      addressOf(memory),
      mountAttrBytes,
    );
  while (isInterrupted(result, "mount_setattr", path));
}
