import { CLONE_NEWNET, setns, unshare } from "../libc/namespace.ts";
import { Netns } from "../netns/netns.ts";
import { asInput } from "./play-error.ts";

const namedNetnsFolder = "/run/netns";

/** The path of a node's network namespace: a name without a slash is one of ip-netns(8); "" stays "", which means this one. */
export function nodePath(node: string): string {
  return node === "" || node.includes("/") ? node : `${namedNetnsFolder}/${node}`;
}

/**
 * Moves this thread, and with it every process it starts, into the node's network namespace for good. "" stays where it is. Throws
 * `InputError` when there is no such namespace.
 */
export function moveToNode(path: string): void {
  if (path === "") return;
  using netns = asInput("--node: ", () => Netns.open(path));
  setns(netns.fd, CLONE_NEWNET);
}

/**
 * As `moveToNode`, for taking down what is left of a node: when its namespace is gone, so are its links, and an empty one takes its
 * place, so that no plugin cleans up on a node that is another.
 */
export function moveToNodeOrNowhere(path: string): void {
  if (path === "") return;
  using netns = Netns.openIfExists(path);
  if (netns === undefined) unshare(CLONE_NEWNET);
  else setns(netns.fd, CLONE_NEWNET);
}
