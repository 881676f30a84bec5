import { SystemError } from "../libc/errno.ts";
import { readDirectoryIfExists, statusIfExists } from "../libc/file.ts";

/** A network namespace that can be opened from here. */
export interface VisibleNetns {
  readonly path: string;
  /** Id of a process in it, where nothing pins the namespace. */
  readonly processId: number | undefined;
}

/** Where ip-netns(8), containerd, CRI-O and Docker pin namespaces. */
const pinFolders = ["/run/netns", "/var/run/netns", "/run/docker/netns"];

/**
 * Every network namespace of this machine that can be opened from here, each once: those that are pinned, by path, then those that only
 * processes are in. For telling an operator what is where, not for work: one that is kept alive by an open descriptor or a mount elsewhere is
 * not seen, and with a hundred pods it takes milliseconds. What can't be looked at is passed over.
 */
export function visibleNamespaces(): VisibleNetns[] {
  const seen = new Set<string>();
  const found: VisibleNetns[] = [];
  const add = (path: string, processId: number | undefined) => {
    const identity = identityOf(path);
    if (identity === undefined || seen.has(identity)) return;
    seen.add(identity);
    found.push({ path, processId });
  };
  for (const folder of pinFolders) {
    for (const { name } of readDirectoryIfExists(folder)) add(`${folder}/${name}`, undefined);
  }
  for (const { name } of readDirectoryIfExists("/proc")) {
    if (/^\d+$/.test(name)) add(`/proc/${name}/ns/net`, Number(name));
  }
  return found;
}

/** What two paths of one namespace have in common; undefined for a path that leads nowhere or may not be followed. */
export function identityOf(path: string): string | undefined {
  try {
    const status = statusIfExists(path);
    return status === undefined ? undefined : `${status.device}:${status.inode}`;
  } catch (error) {
    // A process that has just ended (ESRCH), or one that is somebody else's (EACCES).
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
