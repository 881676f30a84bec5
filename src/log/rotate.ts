import type { Fd } from "../libc/fd.ts";
import {
  changeMode,
  O_CREAT,
  O_WRONLY,
  open,
  readDirectory,
  rename,
  statusIfExists,
  statusOf,
  unlinkIfExists,
} from "../libc/file.ts";
import { tryLock } from "../libc/lock.ts";

/** How many rotated files stay and for how long; 0 means without limit. */
export interface RotationLimits {
  readonly maxAgeDays: number;
  readonly maxBackups: number;
}

/** One rotated file of a log. */
export interface Backup {
  readonly path: string;
  readonly timeMs: number;
  readonly isCompressed: boolean;
}

const compressedSuffix = ".gz";
const dayMs = 24 * 60 * 60 * 1000;
const stampPattern = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})$/;

/**
 * Moves the log file that `fd` is open on aside, puts an empty one with the same permissions in its place and removes rotated
 * files beyond the limits. Does nothing when another process has done or is doing that, or when the path is a symbolic link
 * (/dev/stderr and its like: renaming the link would take it from everybody). The caller opens the path anew afterwards, which
 * also gives up the lock.
 */
export function rotate(path: string, fd: Fd, limits: RotationLimits): void {
  if (!lockNamed(path, fd)) return;
  const { directory, name } = split(path);
  if (readDirectory(directory).some((entry) => entry.name === name && entry.kind === "symlink")) return;
  rename(path, freeBackupPath(path));
  using fresh = open(path, O_WRONLY | O_CREAT);
  changeMode(fresh, statusOf(fd).permissions);
  prune(path, limits);
}

/**
 * Locks the file itself, for as long as `fd` lives; true when the lock is held and `path` still names that file. False means that
 * somebody else was faster: whoever gets the lock of a file that has been moved or removed meanwhile came late. A lock somebody
 * else holds is not waited for: its holder is at work, or was stopped and would block every pod of the node.
 */
export function lockNamed(path: string, fd: Fd): boolean {
  if (!tryLock(fd)) return false;
  const named = statusIfExists(path);
  const locked = statusOf(fd);
  return named?.inode === locked.inode && named.device === locked.device;
}

/** The rotated files of a log, newest first; `SystemError` when its directory can't be read. Names are lumberjack's, so those that Multus left behind count too. */
export function listBackups(path: string): Backup[] {
  const { folder, directory, stem, extension } = split(path);
  const backups: Backup[] = [];
  for (const { name } of readDirectory(directory)) {
    const isCompressed = name.endsWith(extension + compressedSuffix);
    const ending = isCompressed ? extension + compressedSuffix : extension;
    if (!name.startsWith(`${stem}-`) || !name.endsWith(ending)) continue;
    const stamp = stampPattern.exec(name.slice(stem.length + 1, name.length - ending.length));
    if (stamp === null) continue;
    const timeMs = Date.parse(`${stamp[1]}T${stamp[2]}:${stamp[3]}:${stamp[4]}Z`);
    if (!Number.isNaN(timeMs)) backups.push({ path: folder + name, timeMs, isCompressed });
  }
  return backups.sort((a, b) => b.timeMs - a.timeMs);
}

/** The directory part of a path, its slash included; "." when it has none. */
export function directoryOf(path: string): string {
  return split(path).directory;
}

/** Where `path` is moved: <stem>-<UTC time, colons as hyphens><extension>, a millisecond later for as long as that is taken. */
function freeBackupPath(path: string): string {
  const { folder, stem, extension } = split(path);
  for (let timeMs = Date.now(); ; timeMs++) {
    const stamp = new Date(timeMs).toISOString().slice(0, -1).replaceAll(":", "-");
    const candidate = `${folder}${stem}-${stamp}${extension}`;
    if (statusIfExists(candidate) === undefined) return candidate;
  }
}

/** A file and its compressed form, which exist side by side for a moment, count as one. */
function prune(path: string, { maxAgeDays, maxBackups }: RotationLimits): void {
  const oldestMs = maxAgeDays > 0 ? Date.now() - maxAgeDays * dayMs : -Infinity;
  const kept = new Set<number>();
  for (const backup of listBackups(path)) {
    kept.add(backup.timeMs);
    const isSurplus = maxBackups > 0 && kept.size > maxBackups;
    if (isSurplus || backup.timeMs < oldestMs) unlinkIfExists(backup.path);
  }
}

interface PathParts {
  /** What stands before the name, the slash included; may be "". */
  readonly folder: string;
  readonly directory: string;
  readonly name: string;
  readonly stem: string;
  readonly extension: string;
}

function split(path: string): PathParts {
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const name = path.slice(folder.length);
  const dot = name.includes(".") ? name.lastIndexOf(".") : name.length;
  return { folder, directory: folder || ".", name, stem: name.slice(0, dot), extension: name.slice(dot) };
}
