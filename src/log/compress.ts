import { isErrno } from "../libc/errno.ts";
import type { Fd } from "../libc/fd.ts";
import {
  changeMode,
  O_CREAT,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  open,
  rename,
  statusOf,
  unlinkIfExists,
  writeAll,
} from "../libc/file.ts";
import { listBackups, lockNamed } from "./rotate.ts";

/** Until then a process that looked at the path just before the rotation may still append its line. */
const settledAfterMs = 60_000;

/**
 * Compresses (gzip) the rotated files of a log whose last line is at least a minute old, one after the other and in pieces, so
 * that the process can go on with its work meanwhile. A file that another process is compressing is left to it. An interrupted
 * run leaves the plain file and at most one <name>.gz.tmp that the next run overwrites. Throws `SystemError` for the first file
 * that fails.
 */
export async function compressBackups(path: string): Promise<void> {
  for (const backup of listBackups(path)) {
    if (!backup.isCompressed) await compress(backup.path);
  }
}

async function compress(path: string): Promise<void> {
  using source = openIfExists(path);
  if (source === undefined || !lockNamed(path, source)) return;
  if (Date.now() - statusOf(source).modifiedMs < settledAfterMs) return;
  const temporary = `${path}.gz.tmp`;
  try {
    using target = open(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    changeMode(target, statusOf(source).permissions);
    const packed = Bun.file(path).stream().pipeThrough(new CompressionStream("gzip"));
    for await (const chunk of packed) writeAll(target, chunk);
    rename(temporary, `${path}.gz`);
  } catch (error) {
    unlinkIfExists(temporary);
    throw error;
  }
  unlinkIfExists(path);
}

/** Between the listing and now another process may have removed it. */
function openIfExists(path: string): Fd | undefined {
  try {
    return open(path, O_RDONLY);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
