import { CniError, code } from "../../cni/error.ts";
import { SystemError } from "../../libc/errno.ts";
import { makeDirectories, O_DIRECTORY, O_RDONLY, open, statusIfExists } from "../../libc/file.ts";
import { acquire, lockTimeoutMs } from "../common/file-lock.ts";

/** Where backups are unless a config says otherwise: as upstream's, gone with a reboot like the interfaces. */
export const defaultDataDir = "/run/cni/tuning";

const folderMode = 0o700;

/** Makes the folder unless it is there; it is for root alone, its parents are as usual. Throws `SystemError`. */
export function makeDataDir(dataDir: string): void {
  if (statusIfExists(dataDir) !== undefined) return;
  makeDirectories(dataDir.replace(/\/+[^/]*\/*$/, "") || "/");
  makeDirectories(dataDir, folderMode);
}

/** Runs `body`, whose system calls are all about the folder. What can't be read or written there is `CniError` code 5. */
export function inDataDir<T>(dataDir: string, body: () => T): T {
  try {
    return body();
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    const advice = "it keeps the interface's own settings until DEL, and has to be a folder that root can write to";
    throw new CniError(code.io, `dataDir ${dataDir} can't be used: ${cause.message}`, advice, { cause });
  }
}

/**
 * Runs `body` while no other call does the like: for sysctls that are a namespace's, which several interfaces may set. The lock is flock(2)
 * on the folder, so there is no file to be left behind, and only root can hold it. Throws `CniError` code 11 when another holds it for 10 s.
 */
export function withDataDirLock<T>(dataDir: string, body: () => T): T {
  using fd = inDataDir(dataDir, () => {
    makeDataDir(dataDir);
    return open(dataDir, O_RDONLY | O_DIRECTORY);
  });
  acquire(fd, () => busy(dataDir));
  return body();
}

function busy(dataDir: string): CniError {
  return new CniError(
    code.tryAgainLater,
    `another call has been at the backups in ${dataDir} for ${lockTimeoutMs / 1000} s`,
  );
}
