import { isInterrupted, systemCall } from "./call.ts";
import { isErrno } from "./errno.ts";
import { Fd } from "./fd.ts";
import { addressOf, cString, libc, rareLibc } from "./ffi.ts";
import {
  isArm64,
  SYS_fchmod,
  SYS_fdatasync,
  SYS_fstatfs,
  SYS_ftruncate,
  SYS_getdents64,
  SYS_linkat,
  SYS_mkdirat,
  SYS_newfstatat,
  SYS_renameat,
  SYS_unlinkat,
  SYS_utimensat,
} from "./system-calls.ts";

// include/uapi/asm-generic/fcntl.h; O_DIRECTORY differs on arm64.
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

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
// include/uapi/linux/stat.h
const UTIME_OMIT = 0x3fff_fffen;
const S_IFMT = 0o170000;
const statBytes = 144;
/** More than any netconf, lease or sysctl has. */
const readChunkBytes = 4 * 1024;
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const emptyPath = cString("");
const fileSystemBytes = 120;
const nsPerSecond = 1_000_000_000n;
// include/uapi/asm-generic/errno-base.h
const EAGAIN = 11;
const EEXIST = 17;
/** ENOENT, ENOTDIR, ENAMETOOLONG: nothing is at that path, a part of it is missing or no directory, or no file can have such a name. */
const missing = [2, 20, 36];

/** open(2) with O_CLOEXEC always set; `mode` counts only with O_CREAT. Throws `SystemError`. */
export function open(path: string, flags: number, mode = 0o600): Fd {
  return new Fd(tryOpen(path, flags, mode), path);
}

/** As `open`, of what exists; undefined when there is no such file (or a part of its path is missing or no directory). */
function openIfExists(path: string, flags: number): Fd | undefined {
  const number = tryOpen(path, flags, 0, missing);
  return number === -1 ? undefined : new Fd(number, path);
}

/**
 * The descriptor, or -1 for the error numbers `expected`. Without leases and O_NONBLOCK open(2) has no EAGAIN (fs/namei.c), and yet it was told
 * once of a path that is missing: the runtime had used errno before it was read. So it is asked once more.
 */
function tryOpen(path: string, flags: number, mode: number, expected?: readonly number[]): number {
  const name = cString(path);
  for (let isDoubtful = true; ; isDoubtful = false) {
    try {
      let number;
      do number = libc().open(name, flags | O_CLOEXEC, mode);
      while (isInterrupted(number, "open", path, expected));
      return number;
    } catch (error) {
      if (!isDoubtful || !isErrno(error, "EAGAIN")) throw error;
    }
  }
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
      const larger = new Uint8Array(memory.length * 4);
      larger.set(memory);
      memory = larger;
    }
    const rest = memory.subarray(length);
    let count;
    do count = libc().read(fd.number, rest, rest.length);
    while (isInterrupted(count, "read", fd.subject, whenBlocked && [EAGAIN]));
    if (count === 0) return memory.subarray(0, length);
    if (count === -1) whenBlocked?.();
    else length += count;
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

/** As `readText`; undefined when there is no such file (or a part of its path is missing or no directory). */
export function readTextIfExists(path: string): string | undefined {
  using fd = openIfExists(path, O_RDONLY);
  return fd && decoder.decode(readAll(fd));
}

/** Writes all bytes, over as many write(2) calls as it takes; `whenBlocked` waits where there is no room now (else EAGAIN). */
export function writeAll(fd: Fd, content: Uint8Array | string, whenBlocked?: () => void): void {
  const bytes = typeof content === "string" ? encoder.encode(content) : content;
  let offset = 0;
  while (offset < bytes.length) {
    const rest = bytes.subarray(offset);
    let count;
    do count = libc().write(fd.number, rest, rest.length);
    while (isInterrupted(count, "write", fd.subject, whenBlocked && [EAGAIN]));
    if (count === -1) whenBlocked?.();
    else offset += count;
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

/**
 * Creates a file, or writes over what is in it. Not crash safe, as `writeFile`, but it leaves the file the disk space that it has: a file that is
 * emptied and filled again waits for the journal of the file system, 1 to 5 ms where somebody syncs.
 */
export function overwriteFile(path: string, content: string, mode = 0o600): void {
  using fd = open(path, O_WRONLY | O_CREAT, mode);
  const bytes = encoder.encode(content);
  if (statusOf(fd).size > bytes.length)
    systemCall("ftruncate", path, () => libc().syscall(SYS_ftruncate, fd.number, bytes.length, 0, 0, 0));
  writeAll(fd, bytes);
}

let temporaryCount = 0;

/**
 * Replaces a file so that a crash or power cut leaves either the old or the new content, never a part: written beside under a
 * temporary name, fdatasync(2), rename(2). The temporary file is removed when any of it fails; a kill leaves it. Where a lock keeps
 * writers of one file apart, pass `temporaryOf(path)`: the next writer then takes the same name, and whoever removes the file knows it.
 * Without `isDurable` the sync is left out, a third of a millisecond on an idle disk, 5 ms beside others: a power cut may then leave an empty
 * file, a kill still may not.
 */
export function replaceFile(
  path: string,
  content: Uint8Array | string,
  mode = 0o600,
  temporary = `${path}.${process.pid}-${temporaryCount++}.tmp`,
  isDurable = true,
): void {
  try {
    using fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
    changeMode(fd, mode);
    writeAll(fd, content);
    if (isDurable) systemCall("fdatasync", temporary, () => libc().syscall(SYS_fdatasync, fd.number, 0, 0, 0, 0));
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
  while (isInterrupted(libc().syscall(SYS_fchmod, fd.number, permissions, 0, 0, 0), "fchmod", fd.subject));
}

/** rename(2): replaces `to` in one step. */
export function rename(from: string, to: string): void {
  const source = cString(from);
  const target = cString(to);
  let result;
  do result = libc().syscall(SYS_renameat, AT_FDCWD, addressOf(source), AT_FDCWD, addressOf(target), 0);
  while (isInterrupted(result, "rename", `${from} to ${to}`));
}

/** link(2): EEXIST when `to` is taken, which makes it a create-exclusive for a finished file. */
export function link(from: string, to: string): void {
  const source = cString(from);
  const target = cString(to);
  let result;
  do result = libc().syscall(SYS_linkat, AT_FDCWD, addressOf(source), AT_FDCWD, addressOf(target), 0);
  while (isInterrupted(result, "link", `${from} to ${to}`));
}

/** As `link`; false when `to` is taken. */
export function linkUnlessTaken(from: string, to: string): boolean {
  const source = cString(from);
  const target = cString(to);
  let result;
  do result = libc().syscall(SYS_linkat, AT_FDCWD, addressOf(source), AT_FDCWD, addressOf(target), 0);
  while (isInterrupted(result, "link", `${from} to ${to}`, [EEXIST]));
  return result === 0;
}

/** symlink(2). */
export function symlink(target: string, path: string): void {
  const content = cString(target);
  const name = cString(path);
  systemCall("symlink", path, () => rareLibc().symlink(content, name));
}

/** unlink(2); false when there was nothing to remove. */
export function unlinkIfExists(path: string): boolean {
  const name = cString(path);
  let result;
  do result = libc().syscall(SYS_unlinkat, AT_FDCWD, addressOf(name), 0, 0, 0);
  while (isInterrupted(result, "unlink", path, missing));
  return result === 0;
}

/** rmdir(2). */
export function rmdir(path: string): void {
  const name = cString(path);
  systemCall("rmdir", path, () => rareLibc().rmdir(name));
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
  let result;
  do result = libc().syscall(SYS_mkdirat, AT_FDCWD, addressOf(name), mode, 0, 0);
  while (isInterrupted(result, "mkdir", path, [EEXIST]));
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
const direntBytes = 32 * 1024;

/** The entries of a directory, without "." and "..", sorted by name. Throws `SystemError` (ENOENT when it is missing). */
export function readDirectory(path: string): DirectoryEntry[] {
  using fd = open(path, O_RDONLY | O_DIRECTORY);
  return entriesOf(fd);
}

/** As `readDirectory`; empty when there is no such directory. */
export function readDirectoryIfExists(path: string): DirectoryEntry[] {
  using fd = openIfExists(path, O_RDONLY | O_DIRECTORY);
  return fd === undefined ? [] : entriesOf(fd);
}

function entriesOf(fd: Fd): DirectoryEntry[] {
  const memory = new Uint8Array(direntBytes);
  const view = new DataView(memory.buffer);
  const entries: DirectoryEntry[] = [];
  for (;;) {
    let length;
    do length = libc().syscall(SYS_getdents64, fd.number, addressOf(memory), direntBytes, 0, 0);
    while (isInterrupted(length, "getdents64", fd.subject));
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

/** Undefined when the call failed with one of the error numbers `expected`. */
function statusAt(
  directory: number,
  path: Uint8Array,
  flags: number,
  subject: string,
  expected?: readonly number[],
): FileStatus | undefined {
  const memory = new Uint8Array(statBytes);
  let result;
  do result = libc().syscall(SYS_newfstatat, directory, addressOf(path), addressOf(memory), flags, 0);
  while (isInterrupted(result, "stat", subject, expected));
  if (result === -1) return undefined;
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
  return statusAt(AT_FDCWD, cString(path), 0, path)!;
}

/** As `status`; undefined when there is nothing at that path. */
export function statusIfExists(path: string): FileStatus | undefined {
  return statusAt(AT_FDCWD, cString(path), 0, path, missing);
}

/** fstat(2). */
export function statusOf(fd: Fd): FileStatus {
  return statusAt(fd.number, emptyPath, AT_EMPTY_PATH, fd.subject)!;
}

/** utimensat(2): sets when a file or directory was last modified, in ns since 1970; the time of its last access stays. */
export function setModified(path: string, modifiedNs: bigint): void {
  const name = cString(path);
  // Two of struct timespec: s64 tv_sec, s64 tv_nsec
  const memory = new Uint8Array(2 * 16);
  const times = new DataView(memory.buffer);
  times.setBigInt64(8, UTIME_OMIT, true);
  times.setBigInt64(16, modifiedNs / nsPerSecond, true);
  times.setBigInt64(24, modifiedNs % nsPerSecond, true);
  let result;
  do result = libc().syscall(SYS_utimensat, AT_FDCWD, addressOf(name), addressOf(memory), 0, 0);
  while (isInterrupted(result, "utimensat", path));
}

/** fstatfs(2): the magic number of the file system that holds the open file (include/uapi/linux/magic.h). */
export function fileSystemMagic(fd: Fd): number {
  const memory = new Uint8Array(fileSystemBytes);
  while (isInterrupted(libc().syscall(SYS_fstatfs, fd.number, addressOf(memory), 0, 0, 0), "fstatfs", fd.subject));
  // The low half of struct statfs' s64 f_type; no file system has a magic of more than 32 bits.
  return new DataView(memory.buffer).getUint32(0, true);
}
