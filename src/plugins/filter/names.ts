// Names and comments by which rules are found again. They are upstream's to the letter, so that a rule made by either of us is
// removed by the other.

/** iptables allows 28 bytes for a chain's name, and 255 for a comment (XT_MAX_COMMENT_LEN counts the NUL). */
const chainNameBytes = 28;
export const xtCommentBytes = 255;
/** nft's own limit. */
export const nftCommentBytes = 128;
const hashDigits = 16;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Whose rules: one interface of one container on one network. */
export interface Owner {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

/**
 * The iptables chain of a container on a network: `CNI-`, `prefix` and as many hex digits of a SHA-512 as fit. Two interfaces of one
 * container on one network share it, and since nothing separates the two names, ("a", "bc") and ("ab", "c") do as well.
 */
export function chainName(network: string, containerId: string, prefix = ""): string {
  return `CNI-${prefix}${sha512(`${network}${containerId}`)}`.slice(0, chainNameBytes);
}

/** True for what `chainName` makes without a prefix. */
export function isChainName(name: string): boolean {
  return /^CNI-[0-9a-f]{24}$/.test(name);
}

/** The comment of every iptables rule of a container on a network; Go's %q quotes these names as JSON does. */
export function xtComment(network: string, containerId: string): string {
  return cut(`name: ${JSON.stringify(network)} id: ${JSON.stringify(containerId)}`, xtCommentBytes);
}

/** Reads `xtComment` back; undefined for any other text. */
export function parseXtComment(comment: string): Pick<Owner, "network" | "containerId"> | undefined {
  const match = /^name: "([^"\\]*)" id: "([^"\\]*)"$/.exec(comment);
  const [, network, containerId] = match ?? [];
  return network === undefined || containerId === undefined ? undefined : { network, containerId };
}

/** What the comments of a network's nftables rules begin with. */
export function networkHash(network: string): string {
  return sha512(network).slice(0, hashDigits);
}

/** What the comments of an attachment's nftables rules begin with. */
export function attachmentHash({ network, containerId, ifName }: Owner): string {
  return `${networkHash(network)}-${sha512(`${ifName}:${containerId}`).slice(0, hashDigits)}`;
}

/** The comment of an attachment's nftables rules: the hashes to find it by, then the names for people, cut where nft cuts. */
export function nftComment(owner: Owner): string {
  const text = `${attachmentHash(owner)}, net: ${owner.network}, if: ${owner.ifName}, id: ${owner.containerId}`;
  return cut(text.replaceAll('"', ""), nftCommentBytes);
}

/** The comment of the rules of an interface's spoof check, and what its chains are called. */
export function spoofCheckNames({ containerId, ifName }: Pick<Owner, "containerId" | "ifName">): SpoofCheckNames {
  const id = `${containerId}-${ifName}`;
  const interfaceChain = `cni-br-iface-${id}`;
  const comment = cut(`macspoofchk-${id}`.replaceAll('"', ""), nftCommentBytes);
  return { comment, interfaceChain, macChain: `${interfaceChain}-mac` };
}

export interface SpoofCheckNames {
  readonly comment: string;
  /** Where packets of the interface go first; all it does is to ask the other. */
  readonly interfaceChain: string;
  readonly macChain: string;
}

function sha512(text: string): string {
  return new Bun.CryptoHasher("sha512").update(text).digest("hex");
}

/** At most so many bytes, and no broken character at the end. */
export function cut(text: string, bytesMax: number): string {
  const bytes = encoder.encode(text);
  return bytes.length <= bytesMax ? text : decoder.decode(bytes.subarray(0, bytesMax)).replace(/\uFFFD+$/, "");
}
