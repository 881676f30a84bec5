import { isErrno } from "../libc/errno.ts";
import { makeDirectories, O_CREAT, O_EXCL, O_RDONLY, open, unlinkIfExists } from "../libc/file.ts";
import {
  CLONE_NEWNET,
  MNT_DETACH,
  mount,
  MS_BIND,
  MS_REC,
  MS_SHARED,
  setns,
  unmount,
  unshare,
} from "../libc/namespace.ts";
import { Netns } from "./netns.ts";

const currentPath = "/proc/thread-self/ns/net";

/**
 * Creates a network namespace and pins it by a bind mount at `path`, as ip-netns(8) does: the folder is made a shared mount first so
 * that other mount namespaces see the pin. Returns it open. Throws `SystemError` EEXIST when the path is taken; nothing stays behind
 * when a later step fails.
 */
export function createNetns(path: string): Netns {
  const folder = path.slice(0, path.lastIndexOf("/"));
  makeDirectories(folder);
  shareMount(folder);
  open(path, O_RDONLY | O_CREAT | O_EXCL, 0o444)[Symbol.dispose]();
  try {
    pinFresh(path);
    return Netns.open(path);
  } catch (error) {
    deleteNetns(path);
    throw error;
  }
}

/** Unpins and removes `path`; the namespace dies with its last user. One that is gone already is fine. */
export function deleteNetns(path: string): void {
  try {
    unmount(path, MNT_DETACH);
  } catch (error) {
    if (!isErrno(error, "EINVAL", "ENOENT")) throw error;
  }
  unlinkIfExists(path);
}

function pinFresh(path: string): void {
  using home = open(currentPath, O_RDONLY);
  unshare(CLONE_NEWNET);
  try {
    mount(currentPath, path, "", MS_BIND);
  } finally {
    setns(home, CLONE_NEWNET);
  }
}

/** MS_SHARED needs a mount point: a plain folder is bound onto itself once. */
function shareMount(folder: string): void {
  try {
    mount("", folder, "none", MS_SHARED | MS_REC);
  } catch (error) {
    if (!isErrno(error, "EINVAL")) throw error;
    mount(folder, folder, "none", MS_BIND | MS_REC);
    mount("", folder, "none", MS_SHARED | MS_REC);
  }
}
