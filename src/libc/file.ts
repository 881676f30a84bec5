import { systemCall } from "./call.ts";
import { isErrno } from "./errno.ts";
import { Fd } from "./fd.ts";
import { addressOf, cString, libc } from "./ffi.ts";

// include/uapi/asm-generic/fcntl.h; O_DIRECTORY differs on arm64.
const isArm64 = process.arch === "arm64";
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DIRECTORY = isArm64 ? 0o40000 : 0o200000;
export const O_CLOEXEC = 0o2000000;

export const LOCK_EX = 2;
export const LOCK_NB = 4;

const SYS_getdents64 = isArm64 ? 61 : 217;
const SYS_newfstatat = isArm64 ? 79 : 262;
const SYS_utimensat = isArm64 ? 88 : 280;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
// include/uapi/linux/stat.h
const UTIME_OMIT = 0x3fff_fffen;
const S_IFMT = 0o170000;
const statBytes = 144;
const readChunkBytes = 16 * 1024;
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const emptyPath = cString("");
const fileSystemBytes = 120;
const nsPerSecond = 1_000_000_000n;

/** open(2) with O_CLOEXEC always set; `mode` counts only with O_CREAT. Throws `SystemError`. */
export function open(path: string, flags: number, mode = 0o600): Fd {
  const name = cString(path);
  return new Fd(
    systemCall("open", path, () => libc().open(name, flags | O_CLOEXEC, mode)),
    path,
  );
}

/** Reads up to `memory.length` bytes; 0 at the end of the file. */
export function read(fd: Fd, memory: Uint8Array): number {
  if (memory.length === 0) return 0;
  return systemCall("read", fd.subject, () => libc().read(fd.number, memory, memory.length));
}

/**
 * Everything from the descriptor's position to the end of the file. `whenBlocked` waits where a descriptor that does not block has
 * nothing to give; without it that is EAGAIN.
 */
export function readAll(fd: Fd, whenBlocked?: () => void): Uint8Array {
  let memory = new Uint8Array(readChunkBytes);
  let length = 0;
  for (;;) {
    if (length === memory.length) {
      const larger = new Uint8Array(memory.length * 2);
      larger.set(memory);
      memory = larger;
    }
    const rest = memory.subarray(length);
    const count = unblocked(() => read(fd, rest), whenBlocked);
    if (count === 0) return memory.subarray(0, length);
    length += count;
  }
}

/** A whole file as bytes. Throws `SystemError` (ENOENT when it is missing). */
export function readFile(path: string): Uint8Array {
  using fd = open(path, O_RDONLY);
  return readAll(fd);
}

/** A whole file as UTF-8 text. Throws `SystemError` (ENOENT when it is missing). */
export function readText(path: string): string {
  return decoder.decode(readFile(path));
}

/** True for a failure that says that nothing is at that path: a part of it is missing or no directory, or no file can have such a name. */
function isAbsent(error: unknown): boolean {
  return isErrno(error, "ENOENT", "ENOTDIR", "ENAMETOOLONG");
}

/** As `readText`; undefined when there is no such file (or a part of its path is missing or no directory). */
export function readTextIfExists(path: string): string | undefined {
  try {
    return readText(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Writes all bytes, over as many write(2) calls as it takes; `whenBlocked` waits where there is no room now (else EAGAIN). */
export function writeAll(fd: Fd, content: Uint8Array | string, whenBlocked?: () => void): void {
  const bytes = typeof content === "string" ? encoder.encode(content) : content;
  let offset = 0;
  while (offset < bytes.length) {
    const rest = bytes.subarray(offset);
    offset += unblocked(
      () => systemCall("write", fd.subject, () => libc().write(fd.number, rest, rest.length)),
      whenBlocked,
    );
  }
}

function unblocked(transfer: () => number, whenBlocked: (() => void) | undefined): number {
  for (;;) {
    try {
      return transfer();
    } catch (error) {
      if (whenBlocked === undefined || !isErrno(error, "EAGAIN")) throw error;
      whenBlocked();
    }
  }
}

/** Writes into an existing file (a sysctl, a sysfs attribute): no create, no truncate. */
export function writeExisting(path: string, content: string): void {
  using fd = open(path, O_WRONLY);
  writeAll(fd, content);
}

/** Creates or truncates a file and writes it. Not crash safe: `replaceFile` is. */
export function writeFile(path: string, content: Uint8Array | string, mode = 0o600): void {
  using fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  writeAll(fd, content);
}

let temporaryCount = 0;

/**
 * Replaces a file so that a crash or power cut leaves either the old or the new content, never a part: written beside under a
 * temporary name, fdatasync(2), rename(2). The temporary file is removed when any of it fails; a kill leaves it. Where a lock keeps
 * writers of one file apart, pass `temporaryOf(path)`: the next writer then takes the same name, and whoever removes the file knows it.
 */
export function replaceFile(
  path: string,
  content: Uint8Array | string,
  mode = 0o600,
  temporary = `${path}.${process.pid}-${temporaryCount++}.tmp`,
): void {
  try {
    using fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
    changeMode(fd, mode);
    writeAll(fd, content);
    systemCall("fdatasync", temporary, () => libc().fdatasync(fd.number));
    rename(temporary, path);
  } catch (error) {
    unlinkIfExists(temporary);
    throw error;
  }
}

/** The hidden name beside a file that its writers, one at a time, may give to `replaceFile`. */
export function temporaryOf(path: string): string {
  return path.replace(/[^/]*$/, (name) => `.${name}.tmp`);
}

/** fchmod(2): the permission bits exactly as given, whatever the umask. */
export function changeMode(fd: Fd, permissions: number): void {
  systemCall("fchmod", fd.subject, () => libc().fchmod(fd.number, permissions));
}

/** rename(2): replaces `to` in one step. */
export function rename(from: string, to: string): void {
  const source = cString(from);
  const target = cString(to);
  systemCall("rename", `${from} to ${to}`, () => libc().rename(source, target));
}

/** link(2): EEXIST when `to` is taken, which makes it a create-exclusive for a finished file. */
export function link(from: string, to: string): void {
  const source = cString(from);
  const target = cString(to);
  systemCall("link", `${from} to ${to}`, () => libc().link(source, target));
}

/** symlink(2). */
export function symlink(target: string, path: string): void {
  const content = cString(target);
  const name = cString(path);
  systemCall("symlink", path, () => libc().symlink(content, name));
}

/** unlink(2). Throws `SystemError` (ENOENT when it is missing). */
export function unlink(path: string): void {
  const name = cString(path);
  systemCall("unlink", path, () => libc().unlink(name));
}

/** As `unlink`; false when there was nothing to remove. */
export function unlinkIfExists(path: string): boolean {
  try {
    unlink(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** rmdir(2). */
export function rmdir(path: string): void {
  const name = cString(path);
  systemCall("rmdir", path, () => libc().rmdir(name));
}

/** Makes a directory and its missing parents (mkdir -p); one that exists already is fine. */
export function makeDirectories(path: string, mode = 0o755): void {
  try {
    makeDirectory(path, mode);
  } catch (error) {
    const parent = path.replace(/\/+[^/]+\/*$/, "");
    if (!isErrno(error, "ENOENT") || parent === "" || parent === path) throw error;
    makeDirectories(parent, mode);
    // Once more and no further: in some places (/proc) nothing can be made though everything above is there.
    makeDirectory(path, mode);
  }
}

function makeDirectory(path: string, mode: number): void {
  const name = cString(path);
  try {
    systemCall("mkdir", path, () => libc().mkdir(name, mode));
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  }
}

/** flock(2). With LOCK_NB a held lock gives EAGAIN. The lock lives as long as the descriptor. */
export function flock(fd: Fd, operation: number): void {
  systemCall("flock", fd.subject, () => libc().flock(fd.number, operation));
}

/** What kind of directory entry it is: the d_type that the file system reported; "other" covers all but these. */
export type EntryKind = "file" | "directory" | "symlink" | "other";

/** What getdents64(2) tells of one name in a directory. */
export interface DirectoryEntry {
  readonly name: string;
  readonly kind: EntryKind;
  /** Equal for the names of one file (hard links). */
  readonly inode: bigint;
}

const kindsByType: Readonly<Record<number, EntryKind>> = { 4: "directory", 8: "file", 10: "symlink" };
const direntBytes = 64 * 1024;

/** The entries of a directory, without "." and "..", sorted by name. Throws `SystemError` (ENOENT when it is missing). */
export function readDirectory(path: string): DirectoryEntry[] {
  using fd = open(path, O_RDONLY | O_DIRECTORY);
  const memory = new Uint8Array(direntBytes);
  const view = new DataView(memory.buffer);
  const entries: DirectoryEntry[] = [];
  for (;;) {
    const length = systemCall("getdents64", path, () =>
      libc().syscall(SYS_getdents64, fd.number, addressOf(memory), direntBytes, 0),
    );
    if (length === 0) break;
    // struct linux_dirent64: u64 d_ino, s64 d_off, u16 d_reclen, u8 d_type, char d_name[]
    for (let offset = 0; offset < length; offset += view.getUint16(offset + 16, true)) {
      const end = memory.indexOf(0, offset + 19);
      const name = decoder.decode(memory.subarray(offset + 19, end));
      if (name === "." || name === "..") continue;
      const kind = kindsByType[view.getUint8(offset + 18)] ?? "other";
      entries.push({ name, kind, inode: view.getBigUint64(offset, true) });
    }
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** As `readDirectory`; empty when there is no such directory. */
export function readDirectoryIfExists(path: string): DirectoryEntry[] {
  try {
    return readDirectory(path);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

/** What stat(2) tells of a file; sizes in bytes. */
export interface FileStatus {
  readonly device: bigint;
  readonly inode: bigint;
  readonly kind: EntryKind;
  /** The permission bits, set-id and sticky bits included: what chmod(2) takes. */
  readonly permissions: number;
  readonly size: number;
  readonly modifiedMs: number;
  /** Since 1970, exact where `modifiedMs` is rounded. */
  readonly modifiedNs: bigint;
}

// struct stat as the two 64-bit kernels lay it out: st_mode at 24 on x64 (after st_nlink), at 16 on arm64.
const modeOffset = isArm64 ? 16 : 24;
const kindsByMode: Readonly<Record<number, EntryKind>> = {
  0o040000: "directory",
  0o100000: "file",
  0o120000: "symlink",
};

function statusAt(directory: number, path: Uint8Array, flags: number, subject: string): FileStatus {
  const memory = new Uint8Array(statBytes);
  systemCall("stat", subject, () =>
    libc().syscall(SYS_newfstatat, directory, addressOf(path), addressOf(memory), flags),
  );
  const view = new DataView(memory.buffer);
  const modifiedNs = view.getBigInt64(88, true) * nsPerSecond + view.getBigInt64(96, true);
  const mode = view.getUint32(modeOffset, true);
  return {
    device: view.getBigUint64(0, true),
    inode: view.getBigUint64(8, true),
    kind: kindsByMode[mode & S_IFMT] ?? "other",
    permissions: mode & ~S_IFMT,
    size: Number(view.getBigInt64(48, true)),
    modifiedMs: Number(modifiedNs) / 1e6,
    modifiedNs,
  };
}

/** stat(2), symbolic links followed. Throws `SystemError` (ENOENT when it is missing). */
export function status(path: string): FileStatus {
  return statusAt(AT_FDCWD, cString(path), 0, path);
}

/** As `status`; undefined when there is nothing at that path. */
export function statusIfExists(path: string): FileStatus | undefined {
  try {
    return status(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** fstat(2). */
export function statusOf(fd: Fd): FileStatus {
  return statusAt(fd.number, emptyPath, AT_EMPTY_PATH, fd.subject);
}

/** utimensat(2): sets when a file or directory was last modified, in ns since 1970; the time of its last access stays. */
export function setModified(path: string, modifiedNs: bigint): void {
  const name = cString(path);
  const times = new BigInt64Array([0n, UTIME_OMIT, modifiedNs / nsPerSecond, modifiedNs % nsPerSecond]);
  const memory = new Uint8Array(times.buffer);
  systemCall("utimensat", path, () => libc().syscall(SYS_utimensat, AT_FDCWD, addressOf(name), addressOf(memory), 0));
}

/** fstatfs(2): the magic number of the file system that holds the open file (include/uapi/linux/magic.h). */
export function fileSystemMagic(fd: Fd): number {
  const memory = new Uint8Array(fileSystemBytes);
  systemCall("fstatfs", fd.subject, () => libc().fstatfs(fd.number, memory));
  return Number(new DataView(memory.buffer).getBigInt64(0, true) & 0xffff_ffffn);
}
