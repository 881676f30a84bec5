import type { Fd } from "../libc/fd.ts";
import { SystemError } from "../libc/errno.ts";
import { O_DIRECTORY, O_RDONLY, open } from "../libc/file.ts";
import { tryLock } from "../libc/lock.ts";
import { InstallError } from "./install-error.ts";

const waitMs = 30_000;
const pollMs = 50;

/**
 * Keeps installs and uninstalls of one folder apart: flock(2) on the folder itself, so that no file is left, and a kill gives it back. The
 * lock ends with the descriptor. Throws `InstallError`: "busy" after 30 s, "folder" when there is no such folder.
 */
export async function lockFolder(path: string): Promise<Fd> {
  const fd = openFolder(path);
  for (let waitedMs = 0; waitedMs < waitMs; waitedMs += pollMs) {
    if (tryLock(fd)) return fd;
    await Bun.sleep(pollMs);
  }
  fd[Symbol.dispose]();
  throw new InstallError("busy", `another install or uninstall has been at work on ${path} for ${waitMs / 1000} s`);
}

function openFolder(path: string): Fd {
  try {
    return open(path, O_RDONLY | O_DIRECTORY);
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    throw new InstallError("folder", `${cause.message}; the node's own folder must be there (in a pod: mounted)`, {
      cause,
    });
  }
}
