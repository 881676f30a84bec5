import { isErrno, SystemError } from "../libc/errno.ts";
import {
  makeDirectories,
  readDirectoryIfExists,
  rmdir,
  statusIfExists,
  unlinkIfExists,
  writeFile,
} from "../libc/file.ts";
import type { Logger } from "../log/logger.ts";
import { hourOf, marksFolder } from "./settled-mark.ts";

/**
 * Remembers that nothing of a container is attached: its DEL has succeeded, or its ADD has taken back everything. Runtimes call DEL several
 * times for each pod; without this every further call would have to ask the API server what may have been attached. Kept as an
 * empty file for an hour or two, in a folder for each hour, so that old ones go a whole folder at a time. Called under the container's
 * lock. A mark that can't be written is only logged: it saves work, and nothing depends on it.
 */
export function markSettled(cniDir: string, containerId: string, log: Logger, now = Date.now()): void {
  const hour = hourOf(now);
  const folder = marksFolder(cniDir, hour);
  try {
    if (statusIfExists(folder) === undefined) {
      removeMarks(cniDir, (markedIn) => markedIn >= hour - 1);
      makeDirectories(folder, 0o700);
    }
    writeFile(`${folder}/${containerId}`, "");
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    log.verbose(`container ${containerId} is not remembered as settled: ${error.message}`);
  }
}

/** True when nothing of the container is attached, for certain; false also when that is forgotten. */
export function isSettled(cniDir: string, containerId: string, now = Date.now()): boolean {
  for (const path of marks(cniDir, containerId, now)) if (statusIfExists(path) !== undefined) return true;
  return false;
}

/** Forgets the mark, before anything is attached. Throws `SystemError` when it can't be removed. */
export function clearSettled(cniDir: string, containerId: string, now = Date.now()): void {
  for (const path of marks(cniDir, containerId, now)) unlinkIfExists(path);
}

/**
 * Forgets all marks but those of the containers in `living`: for GC, whose caller will not ask about any other. Throws `SystemError` when one
 * can't be removed.
 */
export function forgetSettled(cniDir: string, living: ReadonlySet<string>): void {
  removeMarks(cniDir, (_, containerId) => living.has(containerId));
}

function marks(cniDir: string, containerId: string, now: number): string[] {
  const hour = hourOf(now);
  return [`${marksFolder(cniDir, hour)}/${containerId}`, `${marksFolder(cniDir, hour - 1)}/${containerId}`];
}

/** Removes the marks that are not to be kept, and folders that are empty then. */
function removeMarks(cniDir: string, isKept: (hour: number, containerId: string) => boolean): void {
  const root = `${cniDir}/.settled`;
  for (const { name } of readDirectoryIfExists(root)) {
    let isEmpty = true;
    for (const mark of readDirectoryIfExists(`${root}/${name}`)) {
      if (isKept(Number(name), mark.name)) isEmpty = false;
      else unlinkIfExists(`${root}/${name}/${mark.name}`);
    }
    if (isEmpty) removeFolder(`${root}/${name}`);
  }
}

/** Somebody else may have removed it just now, or put a mark into it. */
function removeFolder(path: string): void {
  try {
    rmdir(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTEMPTY")) throw error;
  }
}
