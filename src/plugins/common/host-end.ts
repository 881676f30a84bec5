import type { ValidAttachment } from "../../cni/net-conf.ts";
import type { Result } from "../../cni/result.ts";
import { formatMac } from "../../ip/mac.ts";
import type { Netns } from "../../netns/netns.ts";
import { getLink, type Link, listLinks } from "../../rtnl/link.ts";
import { explained } from "./explain.ts";
import { equalMac } from "./mac.ts";
import { deleteIfExists, deleteLinks } from "./remove-link.ts";

// The node's end of a pod's veth pair. Upstream gives it a random name, and so only the pod's end leads to it. Ours has a name that is
// made of the attachment and an alias (IFLA_IFALIAS) that says whose it is: it can be found when the pod's namespace can't be entered.

/** One interface of one container on one network. */
export interface Attachment {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

const mark = "cni:";
/** IFALIASZ without its terminating zero (include/uapi/linux/if.h). */
const aliasBytesMax = 255;
/** How many names one attachment may have: each but the first is for the case that a stranger has those before it. */
export const hostNamesMax = 10;

/** The `attempt`th name for the node's end, from 0: "veth" and 8 hexadecimal digits, as upstream's are. */
export function hostName({ network, containerId, ifName }: Attachment, attempt: number): string {
  return `veth${sha256([network, containerId, ifName, attempt].join("/")).slice(0, 8)}`;
}

/** The alias of the node's end, readable where it fits: "cni:network/container/interface". */
export function hostAlias({ network, containerId, ifName }: Attachment): string {
  // Names have no "/" and only ASCII characters; interface names may have others, but few of them.
  const alias = `${aliasPrefix(network)}${containerId}/${ifName}`;
  return new TextEncoder().encode(alias).length <= aliasBytesMax
    ? alias
    : `${aliasPrefix(network)}${sha256(`${containerId}/${ifName}`)}`;
}

/** Deletes the node's end of an attachment, and with it the pod's; none is fine. Throws `CniError` when the kernel refuses. */
export function deleteHostEnd(host: Netns, attachment: Attachment, prevResult: Result | undefined): void {
  const name = ownEnd(host, attachment) ?? strangersEnd(host, attachment, prevResult);
  if (name !== undefined) deleteIfExists(host, name);
}

/** Deletes the node's ends of all attachments of the network that are not valid any more. Throws `CniError` when the kernel refuses. */
export function collectHostEnds(host: Netns, network: string, valid: readonly ValidAttachment[]): void {
  const prefix = aliasPrefix(network);
  const keep = new Set(valid.map(({ containerId, ifName }) => hostAlias({ network, containerId, ifName })));
  const stale = explained("failed to list the links of the node", () => listLinks(host.rtnl)).filter(
    ({ kind, alias }) => kind === "veth" && alias !== undefined && alias.startsWith(prefix) && !keep.has(alias),
  );
  deleteLinks(
    host,
    stale.map(({ name }) => name),
  );
}

/** The first of the attachment's names that is its own; one that is free ends the search. */
function ownEnd(host: Netns, attachment: Attachment): string | undefined {
  const alias = hostAlias(attachment);
  for (let attempt = 0; attempt < hostNamesMax; attempt++) {
    const link = lookUp(host, hostName(attachment, attempt));
    if (link === undefined) return undefined;
    if (link.kind === "veth" && link.alias === alias) return link.name;
  }
  return undefined;
}

/** The node's end that the result of ADD names, if it has the MAC that is told there: made by upstream, it has no alias. */
function strangersEnd(host: Netns, attachment: Attachment, prevResult: Result | undefined): string | undefined {
  const own = hostName(attachment, 0);
  for (const { name, mac, sandbox } of prevResult?.interfaces ?? []) {
    if ((sandbox ?? "") !== "" || mac === undefined || name === own || !/^veth[0-9a-f]{8}$/.test(name)) continue;
    const link = lookUp(host, name);
    if (link?.kind === "veth" && link.alias === undefined && equalMac(formatMac(link.mac), mac)) return name;
  }
  return undefined;
}

function lookUp(host: Netns, name: string): Link | undefined {
  return explained(`failed to look up "${name}"`, () => getLink(host.rtnl, name));
}

function aliasPrefix(network: string): string {
  const text = `${mark}${network}/`;
  // Room for a hash of the rest.
  return text.length <= aliasBytesMax - 64 ? text : `${mark}${sha256(network)}/`;
}

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
