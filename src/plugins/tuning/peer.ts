import type { Result } from "../../cni/result.ts";
import type { Netns } from "../../netns/netns.ts";
import { getLink, type Link } from "../../rtnl/link.ts";
import { explained } from "../common/explain.ts";

/** The node's end of a veth pair, if the result names it: a longer packet than the other end takes is dropped without a word. */
export function findPeer(host: Netns, link: Link, { interfaces }: Pick<Result, "interfaces">): Link | undefined {
  for (const { name, sandbox } of interfaces) {
    if ((sandbox ?? "") !== "") continue;
    const peer = lookUp(host, name);
    if (peer !== undefined && isPair(link, peer)) return peer;
  }
  return undefined;
}

/** The node's end of a veth pair by the pod's alone; undefined when it is in another namespace. */
export function peerOf(host: Netns, link: Link): Link | undefined {
  const peer = link.kind === "veth" && link.parent !== undefined ? lookUp(host, link.parent) : undefined;
  return peer !== undefined && isPair(link, peer) ? peer : undefined;
}

/** Indexes count by namespace: each end has to say that it is the other's. */
function isPair(link: Link, peer: Link): boolean {
  return (
    link.kind === "veth" &&
    peer.kind === "veth" &&
    link.parent === peer.index &&
    peer.parent === link.index &&
    peer.parentNetnsId !== undefined
  );
}

function lookUp(host: Netns, target: string | number): Link | undefined {
  return explained(`failed to look up ${target} on the node`, () => getLink(host.rtnl, target));
}
