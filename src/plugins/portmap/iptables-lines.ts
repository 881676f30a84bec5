import { formatIp } from "../../ip/address.ts";
import { formatPrefix, networkOf, type Prefix } from "../../ip/prefix.ts";
import type { Owner } from "../filter/names.ts";
import { type NatRule, type NatTable, quote } from "../filter/nat-rules.ts";
import type { PortMapping, PortmapConfig } from "./config.ts";
import { mappingsOf, markOf } from "./nftables-rules.ts";
import { entryComment, isUpstreamEntry, mappingChain, ruleComment } from "./words.ts";

// What port mappings are in table nat, as lines of iptables-restore(8), laid out as upstream lays them out: for each container and network a
// chain, and in the chain that all share the rules that lead there, up to 15 ports in each.

export const dnatChain = "CNI-HOSTPORT-DNAT";
export const setMarkChain = "CNI-HOSTPORT-SETMARK";
export const masqueradeChain = "CNI-HOSTPORT-MASQ";
/** XT_MULTI_PORTS of include/uapi/linux/netfilter/xt_multiport.h */
const portsMax = 15;

/** Whose rules, for which mappings, to which address. */
export interface IptablesSpec {
  readonly owner: Owner;
  readonly config: PortmapConfig;
  /** The pod's, with the length of its subnet. */
  readonly address: Prefix;
}

/** All chains that matter for an ADD, the container's own first. */
export function chainsFor(owner: Owner): string[] {
  return [mappingChain(owner), dnatChain, setMarkChain, masqueradeChain, "PREROUTING", "OUTPUT", "POSTROUTING"];
}

/**
 * The lines that make the attachment's rules, and what all share as far as `nat` lacks it. Rules that the attachment had go, those of the
 * container's other interfaces stay. A handle is the rule's own line, of which only a chain that is there already needs any.
 */
export function linesToAdd(nat: NatTable<unknown>, spec: IptablesSpec): string[] {
  return [...sharedLines(nat, spec.config), ...replacedLines(nat, spec.owner), ...ownLines(spec)];
}

/** True for a rule of the attachment in the chain that all share, or of upstream's for its container and network. */
export function isOwnEntry({ chain, comment = "" }: NatRule<unknown>, owner: Owner): boolean {
  return chain === dnatChain && (comment === entryComment(owner) || isUpstreamEntry(comment));
}

/** As `isOwnEntry`, for the container's own chain. */
export function isOwnRule({ chain, comment }: NatRule<unknown>, owner: Owner): boolean {
  return chain === mappingChain(owner) && (comment === undefined || comment === ruleComment(owner));
}

function sharedLines(nat: NatTable<unknown>, config: PortmapConfig): string[] {
  const lines: string[] = [];
  const require = (name: string) => {
    if (!nat.chains.includes(name)) lines.push(`-N ${name}`);
  };
  const has = (chain: string, target: string, mark?: number) =>
    nat.rules.some((rule) => rule.chain === chain && rule.target === target && rule.mark === mark);
  require(dnatChain);
  for (const entry of ["PREROUTING", "OUTPUT"]) {
    if (!has(entry, dnatChain)) lines.push(`-A ${entry} -m addrtype --dst-type LOCAL -j ${dnatChain}`);
  }
  if (!config.snat || config.externalSetMarkChain !== undefined) return lines;
  const mark = markOf(config);
  const words = `0x${mark.toString(16)}/0x${mark.toString(16)}`;
  require(setMarkChain);
  if (!has(setMarkChain, "MARK", mark))
    lines.push(`-A ${setMarkChain} -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark ${words}`);
  require(masqueradeChain);
  if (!has(masqueradeChain, "MASQUERADE", mark))
    lines.push(`-A ${masqueradeChain} -m mark --mark ${words} -j MASQUERADE`);
  // First, or the rules of ipMasq would accept what stays in the pod's subnet.
  if (!has("POSTROUTING", masqueradeChain))
    lines.push(`-I POSTROUTING 1 -m comment --comment "CNI portfwd requiring masquerade" -j ${masqueradeChain}`);
  return lines;
}

/** The container's chain, new or without the rules that the attachment had. */
function replacedLines(nat: NatTable<unknown>, owner: Owner): string[] {
  const name = mappingChain(owner);
  if (!nat.chains.includes(name)) return [`-N ${name}`];
  const lines: string[] = [];
  for (const rule of nat.rules)
    if (rule.target === name && isOwnEntry(rule, owner)) lines.push(`-D ${String(rule.handle)}`);
  // A chain that is declared is made, or emptied.
  lines.push(`:${name} - [0:0]`);
  for (const rule of nat.rules)
    if (rule.chain === name && !isOwnRule(rule, owner)) lines.push(`-A ${String(rule.handle)}`);
  return lines;
}

function ownLines(spec: IptablesSpec): string[] {
  const { owner, config, address } = spec;
  const name = mappingChain(owner);
  const mappings = mappingsOf(config, address.ip.family);
  const lines: string[] = [];
  for (const mapping of mappings) lines.push(...mappingLines(name, mapping, spec));
  const conditions = config.conditions[address.ip.family].map(quote).join(" ");
  const comment = quote(entryComment(owner));
  for (const [protocol, ports] of portsByProtocol(mappings)) {
    for (let at = 0; at < ports.length; at += portsMax) {
      const list = ports.slice(at, at + portsMax).join(",");
      const words = ["-m comment --comment", comment, `-p ${protocol} -m multiport --destination-ports ${list}`];
      if (conditions !== "") words.push(conditions);
      lines.push(`-A ${dnatChain} ${words.join(" ")} -j ${name}`);
    }
  }
  return lines;
}

/** Marks first: what follows the DNAT of a packet is not looked at any more. */
function mappingLines(name: string, mapping: PortMapping, { owner, config, address }: IptablesSpec): string[] {
  const { protocol, hostPort, containerPort, hostIp } = mapping;
  const { family } = address.ip;
  const to = hostIp === undefined ? "" : ` -d ${formatIp(hostIp)}`;
  const match = `-A ${name} -m comment --comment ${quote(ruleComment(owner))} -p ${protocol} --dport ${hostPort}${to}`;
  const lines: string[] = [];
  if (config.snat) {
    const markChain = config.externalSetMarkChain ?? setMarkChain;
    const source = config.masqAll ? anywhere[family] : formatPrefix(networkOf(address));
    lines.push(`${match} -s ${source} -j ${markChain}`);
    if (family === 4 && !config.masqAll) lines.push(`${match} -s 127.0.0.1 -j ${markChain}`);
  }
  const pod = family === 4 ? formatIp(address.ip) : `[${formatIp(address.ip)}]`;
  lines.push(`${match} -j DNAT --to-destination ${pod}:${containerPort}`);
  return lines;
}

const anywhere = { 4: "0.0.0.0/0", 6: "::/0" } as const;

/** Sorted by name, as upstream does it. */
function portsByProtocol(mappings: readonly PortMapping[]): [string, number[]][] {
  const ports = new Map<string, number[]>();
  for (const { protocol, hostPort } of mappings) {
    const list = ports.get(protocol);
    if (list === undefined) ports.set(protocol, [hostPort]);
    else if (!list.includes(hostPort)) list.push(hostPort);
  }
  return [...ports].sort(([a], [b]) => (a < b ? -1 : 1));
}
