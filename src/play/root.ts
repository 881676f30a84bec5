import { rmSync } from "node:fs";
import { isErrno } from "../libc/errno.ts";
import { makeDirectories, rmdir, symlink, unlinkIfExists } from "../libc/file.ts";
import { MNT_DETACH, unmount } from "../libc/namespace.ts";
import { Netns } from "../netns/netns.ts";
import { getLink, listLinks } from "../rtnl/link.ts";
import { deleteLink } from "../rtnl/link-change.ts";
import { defaultBridge, defaultRoot } from "./default-conf.ts";
import { layout } from "./state.ts";

/**
 * Removes what play itself made for a root whose pods are all gone: the default network's bridge in the namespace that the thread is in,
 * all files, and the root unless something else lies there.
 */
export function emptyRoot(root: string): void {
  removeBridge(defaultBridge(root));
  unmountAll(layout.netns(root));
  const { netns, bin, ipam, multus, cache, pools } = layout;
  const folders = [netns, bin, ipam, multus, cache, pools].map((place) => place(root));
  for (const path of [...folders, ...playFolders(root)]) rmSync(path, { recursive: true, force: true });
  for (const path of [layout.state(root), layout.log(root), layout.lock(root)]) unlinkIfExists(path);
  removeIfEmpty(root);
  if (root === defaultRoot) removeIfEmpty(root.slice(0, root.lastIndexOf("/")));
}

/** Makes the folder of a play; one that is there belonged to pods that are gone. */
export function makePlayFolder(root: string, play: number): void {
  rmSync(layout.play(root, play), { recursive: true, force: true });
  makeDirectories(layout.play(root, play), 0o700);
}

/** Pods of all plays take their addresses from the same pools: those of one play alone would give out an address that another one's pod has. */
export function sharePools(root: string, play: number): void {
  makeDirectories(`${layout.pools(root)}/whereabouts`, 0o700);
  const own = `${layout.manifests(root, play)}/.state`;
  makeDirectories(own, 0o755);
  symlink("../../../.state/whereabouts", `${own}/whereabouts`);
}

function playFolders(root: string): string[] {
  return [...new Bun.Glob("play-*").scanSync({ cwd: root, onlyFiles: false, absolute: true })];
}

/** A bridge outlives its ports: CNI has nobody to delete it. */
function removeBridge(name: string): void {
  using here = Netns.current();
  const bridge = getLink(here.rtnl, name);
  if (bridge === undefined || listLinks(here.rtnl, { master: bridge.index }).length > 0) return;
  here.rtnl.run(deleteLink(bridge));
}

/** The folder of the pins is a mount of its own, so that pins reach other mount namespaces. */
function unmountAll(path: string): void {
  try {
    for (;;) unmount(path, MNT_DETACH);
  } catch (error) {
    if (!isErrno(error, "EINVAL", "ENOENT")) throw error;
  }
}

function removeIfEmpty(folder: string): void {
  try {
    rmdir(folder);
  } catch (error) {
    if (!isErrno(error, "ENOTEMPTY", "EBUSY")) throw error;
  }
}
