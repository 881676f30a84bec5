import type { Netns } from "../../netns/netns.ts";
import type { NetnsRef } from "../../netns/ref.ts";
import { deleteGroup, deleteLink, setLink } from "../../rtnl/link-change.ts";
import { explain } from "./explain.ts";

/**
 * Deletes the link of that name in a namespace that may be gone, and then its links with it. A link that is missing is fine. Throws
 * `CniError` when the kernel refuses: the link is still there then, so its addresses must not be given back.
 */
export function removeLink(netns: NetnsRef, name: string): void {
  const pod = netns.openIfExists();
  if (pod !== undefined) deleteIfExists(pod, name);
}

/** As `removeLink`, in an open namespace. */
export function deleteIfExists(netns: Netns, name: string): void {
  const [error] = netns.rtnl.batch([deleteLink(name)]);
  if (error !== undefined && error.code !== "ENODEV") throw explain(`failed to delete "${name}"`, error);
}

/**
 * Deletes several links at once, and so waits for the kernel's grace periods once: 20 ms for all of a pod's links instead of 20 ms for
 * each (they are put into a group of their own, IFLA_GROUP, and that is deleted). Names that are missing are fine, no names at all too.
 * When one of them is a device that can't be deleted (hardware) the others are deleted one by one, it goes back to group 0, and
 * `CniError` says so; likewise for any other refusal.
 */
export function deleteLinks(netns: Netns, names: readonly string[]): void {
  if (names.length === 0) return;
  const group = freshGroup();
  const errors = netns.rtnl.batch([...names.map((name) => setLink(name, { group })), deleteGroup(group)]);
  const refusal = errors.find((error) => error !== undefined && error.code !== "ENODEV");
  if (refusal === undefined) return;
  netns.rtnl.batch(names.flatMap((name) => [deleteLink(name), setLink(name, { group: 0 })]));
  throw explain(`failed to delete ${names.join(", ")} together`, refusal, {
    EOPNOTSUPP: "one of them is a device that can't be deleted; the others are gone",
  });
}

/** A number that no administrator will have chosen: people count from 0. */
function freshGroup(): number {
  const firstFresh = 0x4000_0000;
  return firstFresh + Math.floor(Math.random() * firstFresh);
}
