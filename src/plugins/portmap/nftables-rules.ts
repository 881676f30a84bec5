import { type Ip, widthOf } from "../../ip/address.ts";
import { hostPrefix, type Prefix } from "../../ip/prefix.ts";
import { chain, rule, table, type Chain, type Rule, type Table } from "../../nft/object.ts";
import {
  destinationIn,
  destinationPort,
  dnat,
  jump,
  markedWith,
  masquerade,
  type PortProtocol,
  setMarkBits,
  sourceIn,
  type Statement,
  toThisHost,
} from "../../nft/statement.ts";
import type { Owner } from "../filter/names.ts";
import type { Conditions } from "./conditions.ts";
import type { PortMapping, PortmapConfig } from "./config.ts";
import { nftCommentOf, tagOf } from "./words.ts";

// What port mappings are in nf_tables, as values. Tables, chains and the rules that upstream makes are upstream's; three things are otherwise:
// conditions stand in each rule, so that they bind their own pod alone; connections from the pod's subnet are marked on their way to a mapping
// and masqueraded for the mark, as upstream's iptables rules do it (so pods of one bridge reach each other's host ports), and `masqAll` works in
// the same way; each rule has a tag that says whose it is.

/** 127.0.0.1 */
const loopback: Ip = { family: 4, value: 0x7f00_0001n };

export interface Chains {
  readonly table: Table;
  /** The mappings. */
  readonly hostPorts: Chain;
  /** Was for mappings of one address; upstream still deletes its rules there. */
  readonly hostIpPorts: Chain;
  /** Leads to both. */
  readonly all: Chain;
  /** What comes in from outside, and what the node itself sends. */
  readonly entries: readonly Chain[];
  readonly masquerading: Chain;
}

/** The objects of one IP version. */
export function chainsOf(version: 4 | 6): Chains {
  const home = table(version === 4 ? "ip" : "ip6", "cni_hostport", "CNI portmap plugin");
  return {
    table: home,
    hostPorts: chain(home, "hostports"),
    hostIpPorts: chain(home, "hostip_hostports"),
    all: chain(home, "hostports_all"),
    entries: [
      chain(home, "prerouting", { base: { type: "nat", hook: "prerouting", priority: -100 } }),
      chain(home, "output", { base: { type: "nat", hook: "output", priority: -100 } }),
    ],
    masquerading: chain(home, "masquerading", { base: { type: "nat", hook: "postrouting", priority: 100 } }),
  };
}

/** What leads to the mappings: only what is addressed to this host, for a port of another host is none of ours (CVE-2025-67499). */
export function entryStatements({ all }: Chains, conditions: readonly Statement[] = []): Statement[] {
  return [...conditions, toThisHost, jump(all)];
}

/** The rules of `hostports_all`. */
export function allRules({ all, hostIpPorts, hostPorts }: Chains): Rule[] {
  return [rule(all, [jump(hostIpPorts)]), rule(all, [jump(hostPorts)])];
}

export interface AttachmentRules {
  /** For `hostports`, in order. */
  readonly mappings: readonly Rule[];
  /** For `masquerading`; none without `snat`. */
  readonly masquerading: readonly Rule[];
  /** Mappings whose protocol the conditions exclude. */
  readonly impossible: readonly PortMapping[];
}

/** The rules of an attachment whose pod has `address` (with the length of its subnet), for the mappings of that IP version. */
export function attachmentRules(
  chains: Chains,
  owner: Owner,
  config: PortmapConfig,
  address: Prefix,
  conditions: Conditions,
): AttachmentRules {
  const comment = nftCommentOf(owner.containerId);
  const tag = tagOf(owner);
  const make = (chain: Chain, statements: readonly Statement[]) => rule(chain, statements, comment, tag);
  const possible: PortMapping[] = [];
  const impossible: PortMapping[] = [];
  for (const mapping of mappingsOf(config, address.ip.family)) {
    const isPossible = conditions.transport === undefined || conditions.transport === mapping.protocol;
    (isPossible ? possible : impossible).push(mapping);
  }
  const mappings: Rule[] = [];
  const marks = marksSources(config, address);
  if (marks) {
    const from = config.masqAll ? [] : [sourceIn(address)];
    const mark = setMarkBits(markOf(config));
    for (const { key, ports } of groupsOf(possible)) {
      mappings.push(
        make(chains.hostPorts, [
          ...conditions.statements,
          ...from,
          ...toHostIp(key),
          destinationPort(key.protocol, ports),
          mark,
        ]),
      );
    }
  }
  for (const mapping of possible) {
    mappings.push(
      make(chains.hostPorts, [
        ...conditions.statements,
        ...toHostIp(mapping),
        destinationPort(mapping.protocol, [mapping.hostPort]),
        dnat(address.ip, mapping.containerPort),
      ]),
    );
  }
  const masquerading: Rule[] = [];
  if (mappings.length > 0) {
    for (const statements of masqueradeStatements(config, address, marks))
      masquerading.push(make(chains.masquerading, statements));
  }
  return { mappings, masquerading, impossible };
}

/** The mappings that there can be for a pod's address of that IP version: a `hostIP` of the other version makes none. */
export function mappingsOf(config: PortmapConfig, family: 4 | 6): PortMapping[] {
  const own: PortMapping[] = [];
  for (const mapping of config.mappings) if ((mapping.family ?? family) === family) own.push(mapping);
  return own;
}

/** As a number with that bit alone. */
export function markOf({ markBit }: Pick<PortmapConfig, "markBit">): number {
  return (1 << markBit) >>> 0;
}

/** Whether connections from elsewhere than the pod and the node itself are to be masqueraded: all, or those from a subnet. */
function marksSources({ snat, masqAll }: PortmapConfig, { ip, bits }: Prefix): boolean {
  return snat && (masqAll || bits < widthOf(ip.family));
}

function masqueradeStatements(config: PortmapConfig, address: Prefix, marks: boolean): Statement[][] {
  if (!config.snat) return [];
  const toPod = destinationIn(hostPrefix(address.ip));
  const marked = [toPod, markedWith(markOf(config)), masquerade];
  if (config.masqAll) return [marked];
  const all = [[sourceIn(hostPrefix(address.ip)), toPod, masquerade]];
  if (address.ip.family === 4) all.push([sourceIn(hostPrefix(loopback)), toPod, masquerade]);
  return marks ? [...all, marked] : all;
}

function toHostIp({ hostIp }: Pick<PortMapping, "hostIp">): Statement[] {
  return hostIp === undefined ? [] : [destinationIn(hostPrefix(hostIp))];
}

interface Group {
  readonly key: { readonly protocol: PortProtocol; readonly hostIp: PortMapping["hostIp"] };
  readonly ports: number[];
}

/** Mappings of one protocol and one address of the node share a rule that marks. */
function groupsOf(mappings: readonly PortMapping[]): Group[] {
  const groups: Group[] = [];
  for (const { protocol, hostIp, hostPort } of mappings) {
    const known = groups.find(({ key }) => key.protocol === protocol && key.hostIp?.value === hostIp?.value);
    if (known === undefined) groups.push({ key: { protocol, hostIp }, ports: [hostPort] });
    else known.ports.push(hostPort);
  }
  return groups;
}
