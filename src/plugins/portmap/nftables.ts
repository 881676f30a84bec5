import type { ValidAttachment } from "../../cni/net-conf.ts";
import { equalIp, type Ip, ipToBytes } from "../../ip/address.ts";
import type { Prefix } from "../../ip/prefix.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import type { Nft } from "../../nft/nft.ts";
import { type Chain, type ListedRule, rule, type Rule } from "../../nft/object.ts";
import { protocolNumbers, type Statement } from "../../nft/statement.ts";
import { Transaction } from "../../nft/transaction.ts";
import { type Forward, readForward } from "../filter/forward.ts";
import type { Owner } from "../filter/names.ts";
import { nftIfAvailable, nftOf } from "../filter/nft-of.ts";
import { parseConditions } from "./conditions.ts";
import type { PortMapping, PortmapConfig } from "./config.ts";
import { allRules, attachmentRules, type Chains, chainsOf, entryStatements, mappingsOf } from "./nftables-rules.ts";
import { interfaceOfTag, nftCommentOf, tagOf } from "./words.ts";

const versions = [4, 6] as const;

/** Is told what is about to be removed; undefined when nobody asks, and then it is not read. */
type Foresee = ((forwards: readonly Forward[]) => void) | undefined;

/**
 * Makes the rules of an attachment, in place of those that it had, whoever made them: one transaction for both IP versions. Throws `CniError`
 * code 7 for conditions that are not understood, `NftError` when the kernel refuses; then all is as it was.
 */
export function addByNftables(
  host: Netns,
  owner: Owner,
  config: PortmapConfig,
  addresses: readonly Prefix[],
  log: Logger,
): void {
  const parsed = addresses.map((address) => ({
    address,
    conditions: parseConditions(config.conditions[address.ip.family], address.ip.family),
  }));
  const nft = nftOf(host);
  let remarks: string[] = [];
  nft.update(() => {
    const transaction = new Transaction();
    remarks = [];
    for (const { address, conditions } of parsed) {
      const chains = chainsOf(address.ip.family);
      const present = nft.rules(chains.table);
      const made = attachmentRules(chains, owner, config, address, conditions);
      for (const each of present) if (isOf(each, owner, [address.ip])) transaction.delete(each);
      remarks.push(...remarksOn(made.impossible, present, owner, mappingsOf(config, address.ip.family)));
      if (made.mappings.length === 0) continue;
      addBase(transaction, nft, chains, present, conditions.statements);
      if (made.masquerading.length > 0) addBaseChain(transaction, nft, chains.masquerading, present);
      for (const each of made.mappings) transaction.add(each);
      for (const each of made.masquerading) transaction.add(each);
    }
    return transaction;
  });
  for (const remark of remarks) log.error(remark);
}

/**
 * Removes the attachment's rules, and those that upstream made for its container: all of them, or with `addresses` those that concern one of
 * these. `foresee`, where there is one, is told what they map just before, and that is returned; none is fine. Throws `NftError`.
 */
export function deleteFromNftables(
  host: Netns,
  owner: Owner,
  addresses: readonly Ip[] | undefined,
  foresee: Foresee,
): Forward[] {
  return deleteRules(host, (each) => isOf(each, owner, addresses), foresee);
}

/**
 * Removes the rules of all attachments of the network that are not valid any more; otherwise as `deleteFromNftables`. Upstream's don't say of which
 * network they are, and so stay.
 */
export function collectFromNftables(
  host: Netns,
  network: string,
  valid: readonly ValidAttachment[],
  foresee: Foresee,
): Forward[] {
  const kept = new Set<string>();
  for (const { containerId, ifName } of valid) kept.add(`${nftCommentOf(containerId)}/${ifName}`);
  const isStale = ({ comment, tag }: ListedRule) => {
    const ifName = tag === undefined ? undefined : interfaceOfTag(tag, network);
    return ifName !== undefined && !kept.has(`${comment ?? ""}/${ifName}`);
  };
  return deleteRules(host, isStale, foresee);
}

/** What is missing of the attachment's rules, in words; undefined when nothing is. */
export function missingInNftables(
  host: Netns,
  owner: Owner,
  config: PortmapConfig,
  addresses: readonly Prefix[],
): string | undefined {
  const nft = nftIfAvailable(host);
  if (nft === undefined) return "this kernel has no nf_tables";
  for (const address of addresses) {
    const { family } = address.ip;
    const { transport } = parseConditions(config.conditions[family], family);
    const mappings = mappingsOf(config, family).filter(
      ({ protocol }) => transport === undefined || transport === protocol,
    );
    if (mappings.length === 0) continue;
    const chains = chainsOf(family);
    const present = nft.rules(chains.table);
    const own = present.filter((each) => isOf(each, owner, [address.ip]));
    for (const { protocol, hostPort, containerPort } of mappings) {
      const forwards = own.map(({ expressions }) => readForward(expressions, family));
      const isThere = forwards.some(
        (one) =>
          one?.hostPort === hostPort &&
          one.toPort === containerPort &&
          equalIp(one.to, address.ip) &&
          one.protocol === protocolNumbers[protocol],
      );
      if (!isThere)
        return `missing hostport rules in "hostports" chain: none for ${protocol} port ${hostPort} of IPv${family}`;
    }
    if (config.snat && !own.some(({ chain }) => chain.name === chains.masquerading.name)) {
      return `missing hostport rules in "masquerading" chain of IPv${family}`;
    }
    for (const { name } of chains.entries) {
      const leads = present.some((each) => each.chain.name === name && leadsTo(each, chains.all.name));
      if (!leads) return `chain ${name} of IPv${family} does not lead to the mappings`;
    }
  }
  return undefined;
}

/** Ours by comment and tag; without a tag it is upstream's, which may be for another network of the container. */
function isOf(listed: ListedRule, owner: Owner, addresses: readonly Ip[] | undefined): boolean {
  const { comment, tag } = listed;
  if (comment !== nftCommentOf(owner.containerId)) return false;
  if (tag !== undefined) return tag === tagOf(owner);
  return addresses === undefined || addresses.some((ip) => mentions(listed.expressions, ip));
}

function mentions(expressions: ListedRule["expressions"], ip: Ip): boolean {
  const hex = ipToBytes(ip).toHex();
  for (const one of expressions)
    if ((one.kind === "cmp" || one.kind === "immediate") && one.value.toHex() === hex) return true;
  return false;
}

/** Table, chains and what leads to the mappings, as far as they are missing. */
function addBase(
  transaction: Transaction,
  nft: Nft,
  chains: Chains,
  present: readonly ListedRule[],
  conditions: readonly Statement[],
): void {
  const plain = entryStatements(chains);
  const own = entryStatements(chains, conditions);
  const inAll = present.filter((each) => each.chain.name === chains.all.name);
  const wanted = allRules(chains);
  const isComplete = inAll.length === wanted.length && wanted.every((each, at) => isSame(inAll[at], each));
  if (!isComplete) {
    transaction.add(chains.table).add(chains.hostPorts).add(chains.hostIpPorts).add(chains.all);
    for (const each of inAll) transaction.delete(each);
    for (const each of wanted) transaction.add(each);
  }
  for (const entry of chains.entries) {
    const here = present.filter((each) => each.chain.name === entry.name);
    // Upstream's before 1.9.0 lead there whatever is addressed to another host.
    for (const each of here) if (leadsTo(each, chains.all.name) && !asksForThisHost(each)) transaction.delete(each);
    // Upstream keeps the last pod's conditions there: they are ours as well, or they must not bind us.
    if (here.some((each) => isSame(each, rule(entry, plain)) || isSame(each, rule(entry, own)))) continue;
    addBaseChain(transaction, nft, entry, present);
    transaction.add(rule(entry, plain));
  }
}

/** Not again when it is there: that counts as a change of it, and costs a grace period (see `Nft`). */
function addBaseChain(transaction: Transaction, nft: Nft, wanted: Chain, present: readonly ListedRule[]): void {
  const isThere = present.some((each) => each.chain.name === wanted.name) || nft.hasChain(wanted);
  if (!isThere) transaction.add(wanted);
}

function isSame(listed: ListedRule | undefined, wanted: Rule): boolean {
  const [operation] = new Transaction().add(wanted).operations;
  return operation?.verb === "append" && Bun.deepEquals(listed?.expressions, operation.compiled.expressions);
}

function leadsTo({ expressions }: ListedRule, name: string): boolean {
  return expressions.some((one) => one.kind === "verdict" && one.chain === name);
}

function asksForThisHost({ expressions }: ListedRule): boolean {
  return expressions.some(({ kind }) => kind === "fib");
}

function deleteRules(host: Netns, isStale: (rule: ListedRule) => boolean, foresee: Foresee): Forward[] {
  const nft = nftIfAvailable(host);
  let gone: Forward[] = [];
  nft?.update(() => {
    const transaction = new Transaction();
    gone = [];
    for (const version of versions) {
      const { table, hostPorts, hostIpPorts, masquerading } = chainsOf(version);
      const places = [hostPorts.name, hostIpPorts.name, masquerading.name];
      for (const each of nft.rules(table)) {
        if (!places.includes(each.chain.name) || !isStale(each)) continue;
        transaction.delete(each);
        if (foresee === undefined || each.chain.name === masquerading.name) continue;
        const forward = readForward(each.expressions, version);
        if (forward !== undefined) gone.push(forward);
      }
    }
    foresee?.(gone);
    return transaction;
  });
  return gone;
}

/** What a person should know of mappings that will not work. */
function remarksOn(
  impossible: readonly PortMapping[],
  present: readonly ListedRule[],
  owner: Owner,
  mappings: readonly PortMapping[],
): string[] {
  const remarks: string[] = [];
  for (const { protocol, hostPort } of impossible)
    remarks.push(
      `host port ${hostPort}/${protocol} leads nowhere: the conditions of network ${owner.network} exclude ${protocol}`,
    );
  const comment = nftCommentOf(owner.containerId);
  const ports = mappings.map(({ hostPort }) => hostPort.toString(16).padStart(4, "0"));
  for (const each of present) {
    if (each.comment === undefined || each.comment === comment) continue;
    const encoded = each.encoded.toHex();
    if (!ports.some((port) => encoded.includes(port))) continue;
    const version = each.chain.table.family === "ip" ? 4 : 6;
    const forward = readForward(each.expressions, version);
    const rival = mappings.find(
      ({ protocol, hostPort, hostIp }) =>
        forward?.hostPort === hostPort &&
        forward.protocol === protocolNumbers[protocol] &&
        (hostIp ?? forward.hostIp)?.value === (forward.hostIp ?? hostIp)?.value,
    );
    if (rival !== undefined)
      remarks.push(
        `host port ${rival.hostPort}/${rival.protocol} leads to container ${each.comment} already, which keeps it`,
      );
  }
  return remarks;
}
