import {
  attachmentHash,
  chainName,
  cut,
  networkHash,
  nftCommentBytes,
  type Owner,
  xtCommentBytes,
} from "../filter/names.ts";

// By what rules are found again. Upstream finds its own by the container alone (nftables) or by the container and the network (iptables), and so
// takes away more than was asked for; it must go on finding ours. So where upstream looks, ours say the same, and the rest stands where it
// does not look.

const encoder = new TextEncoder();
const tagBytes = 120;

/** The comment of all nftables rules of a container: upstream's DEL deletes those whose comment is just this. */
export function nftCommentOf(containerId: string): string {
  return cut(containerId.replaceAll('"', ""), nftCommentBytes);
}

/** The tag of an attachment's nftables rules: "network/interface". */
export function tagOf({ network, ifName }: Pick<Owner, "network" | "ifName">): string {
  // A network's name has no "/".
  const tag = `${network}/${ifName}`;
  return encoder.encode(tag).length <= tagBytes ? tag : `${networkHash(network)}/${ifName}`;
}

/** Whose rule it is by its tag; undefined for another network's. */
export function interfaceOfTag(tag: string, network: string): string | undefined {
  const slash = tag.indexOf("/");
  const name = tag.slice(0, slash);
  return name === network || name === networkHash(network) ? tag.slice(slash + 1) : undefined;
}

/** The iptables chain of a container on a network, which its interfaces share; and the one that very old versions of upstream had beside it. */
export function mappingChain({ network, containerId }: Pick<Owner, "network" | "containerId">, prefix = "DN-"): string {
  return chainName(network, containerId, prefix);
}

/** True for what `mappingChain` makes. */
export function isMappingChain(name: string): boolean {
  return /^CNI-[DS]N-[0-9a-f]{21}$/.test(name);
}

/** The comment of the iptables rules that lead to a container's chain: upstream's, and behind it the interface. */
export function entryComment(owner: Owner): string {
  const { network, containerId } = owner;
  const interfaceWords = ruleComment(owner);
  const comment = `dnat name: "${network}" id: "${containerId}" ${interfaceWords}`;
  if (encoder.encode(comment).length <= xtCommentBytes) return comment;
  return cut(`dnat ${interfaceWords} hash: "${attachmentHash(owner)}" id: "${containerId}"`, xtCommentBytes);
}

/** The comment of the iptables rules in that chain. */
export function ruleComment({ ifName }: Pick<Owner, "ifName">): string {
  return `if: "${ifName.replaceAll(/["\\]/g, "")}"`;
}

/** What `entryComment` says: the network is missing where it was too long, the interface in upstream's. */
export interface EntryWords {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string | undefined;
}

/** Reads `entryComment`, or upstream's, back; undefined for any other text, and for one that had to be shortened. */
export function parseEntryComment(comment: string): EntryWords | undefined {
  const match = /^dnat name: "([^"\\]*)" id: "([^"\\]*)"(?: if: "([^"\\]*)")?$/.exec(comment);
  const [, network, containerId, ifName] = match ?? [];
  return network === undefined || containerId === undefined ? undefined : { network, containerId, ifName };
}

/** True for an entry that names no interface: upstream made it. */
export function isUpstreamEntry(comment: string): boolean {
  return !/ if: "[^"]*"/.test(comment);
}
