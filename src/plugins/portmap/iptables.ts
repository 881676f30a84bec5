import type { ValidAttachment } from "../../cni/net-conf.ts";
import { equalIp } from "../../ip/address.ts";
import type { Prefix } from "../../ip/prefix.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import { protocolNumbers } from "../../nft/statement.ts";
import type { Forward } from "../filter/forward.ts";
import { withNetnsLockHeld } from "../common/netns-lock.ts";
import { isIptablesError, listNat, restoreNat } from "../filter/iptables.ts";
import type { Owner } from "../filter/names.ts";
import { type NatRule, type NatTable, parseNat, type Removal } from "../filter/nat-rules.ts";
import {
  hasLegacyNat,
  type NatScope,
  readLegacyNat,
  readNativeChains,
  readNativeNat,
  removeLegacy,
  removeNative,
} from "../filter/nat-table.ts";
import type { PortmapConfig } from "./config.ts";
import { chainsFor, dnatChain, isOwnEntry, isOwnRule, linesToAdd } from "./iptables-lines.ts";
import { mappingsOf } from "./nftables-rules.ts";
import { isMappingChain, mappingChain, parseEntryComment, ruleComment } from "./words.ts";

type Version = 4 | 6;

/** Is told what is about to be removed; undefined when nobody asks, and then it is not read. */
type Foresee = ((forwards: readonly Forward[]) => void) | undefined;

interface Picked<Handle> extends Removal<Handle> {
  /** Reads what these rules map. */
  readonly forwards: () => Forward[];
}

const versions = [4, 6] as const;
/** Where very old versions of upstream kept the chains that they had for the way back. */
const oldSourceChain = "CNI-HOSTPORT-SNAT";
/** Others may be at work on the same chains; more often in a row than this they are not. */
const attemptsMax = 4;

/**
 * Makes the rules of an attachment, in place of those that it had: one call of iptables-restore for each IP version among `addresses`, and one of
 * iptables before it where a chain of the container is there already or the rules can't be read without it. Throws `IptablesError`: "missing"
 * or "unusable" where this host can't do it.
 */
export async function addByIptables(
  host: Netns,
  owner: Owner,
  config: PortmapConfig,
  addresses: readonly Prefix[],
): Promise<void> {
  const wanted = addresses.filter(({ ip }) => mappingsOf(config, ip.family).length > 0);
  // What is there is read before it is added to, and two calls that read at once would both add the jumps that all attachments share.
  await withNetnsLockHeld(host, () => settle(wanted.map((address) => add(host, { owner, config, address }))));
}

/**
 * Removes the attachment's rules, and those that upstream made for its container on this network; the chain once nothing leads there any more.
 * `foresee`, where there is one, is told what they map just before, and that is returned; none is fine, and so is a host without iptables. Throws `NftError` or
 * `IptablesError`.
 */
export async function deleteFromIptables(host: Netns, owner: Owner, log: Logger, foresee: Foresee): Promise<Forward[]> {
  const chains = chainsOf(owner);
  const names = chains.map(([chain]) => chain);
  const scopes = chains.map(([chain, from]) => ({ chain, from: [from] }));
  return await remove(host, scopes, (nat) => pick(nat, names, owner), log, foresee);
}

/** Removes the rules of all attachments of the network that are not valid any more; otherwise as `deleteFromIptables`. */
export async function collectFromIptables(
  host: Netns,
  network: string,
  valid: readonly ValidAttachment[],
  log: Logger,
  foresee: Foresee,
): Promise<Forward[]> {
  return await remove(host, [undefined], (nat) => pickStale(nat, network, valid), log, foresee);
}

/** What is missing of the attachment's rules, in words; undefined when nothing is. */
export async function missingInIptables(
  host: Netns,
  owner: Owner,
  config: PortmapConfig,
  addresses: readonly Prefix[],
  log: Logger,
): Promise<string | undefined> {
  for (const address of addresses) {
    const { family } = address.ip;
    if (mappingsOf(config, family).length === 0) continue;
    const scope = { chain: mappingChain(owner), from: [dnatChain, "PREROUTING", "OUTPUT"] };
    const nat = readNativeNat(host, family, scope) ?? (await readLegacyNat(host, family, log));
    const missing = missingIn(nat ?? { chains: [], rules: [] }, owner, config, address);
    if (missing !== undefined) return `could not check ipv${family} dnat: ${missing}`;
  }
  return undefined;
}

async function add(host: Netns, spec: Parameters<typeof linesToAdd>[1]): Promise<void> {
  const version = spec.address.ip.family;
  let nat = readWithoutBinary(host, version, spec.owner);
  let refused: { readonly lines: string; readonly error: unknown } | undefined;
  for (let attempt = 1; ; attempt++) {
    nat ??= parseNat(await listNat(host, version));
    const lines = linesToAdd(nat, spec);
    // Nobody was in the way: it would be refused again.
    if (lines.join("\n") === refused?.lines) throw refused.error;
    try {
      await restoreNat(host, version, lines);
      return;
    } catch (error) {
      // Somebody else made the same chain first, or the binary keeps its rules elsewhere than we looked.
      if (!isIptablesError(error, "refused") || attempt === attemptsMax) throw error;
      refused = { lines: lines.join("\n"), error };
      nat = undefined;
    }
  }
}

/** What is there, when that can be found out from nf_tables and there is nothing to replace; undefined asks for the binary. */
function readWithoutBinary(host: Netns, version: Version, owner: Owner): NatTable<unknown> | undefined {
  const nat = readNativeChains(host, version, chainsFor(owner));
  if (nat === undefined) return undefined;
  if (nat.chains.includes(mappingChain(owner))) return undefined;
  return nat.chains.includes(dnatChain) || !hasLegacyNat(host, version) ? nat : undefined;
}

/** Removes what `select` picks, from nf_tables by each scope (undefined: all of table nat) and from x_tables. Returns what it mapped. */
async function remove(
  host: Netns,
  scopes: readonly (NatScope | undefined)[],
  select: <Handle>(nat: NatTable<Handle>) => Picked<Handle>,
  log: Logger,
  foresee: Foresee,
): Promise<Forward[]> {
  const gone: Forward[] = [];
  await settle(
    versions.map(async (version) => {
      for (const scope of scopes) {
        // It may be planned several times, and the last time counts.
        let forwards: readonly Forward[] = [];
        removeNative(host, version, scope, (nat) => {
          const picked = select(nat);
          if (foresee !== undefined) foresee((forwards = picked.forwards()));
          return picked;
        });
        gone.push(...forwards);
      }
      const selectLegacy = <Handle>(nat: NatTable<Handle>) => {
        const picked = select(nat);
        if (foresee === undefined) return picked;
        const forwards = picked.forwards();
        gone.push(...forwards);
        foresee(forwards);
        return picked;
      };
      await removeLegacy(host, version, selectLegacy, log);
    }),
  );
  return gone;
}

/** The container's chains, each with the one that leads there. */
function chainsOf(owner: Owner): [chain: string, from: string][] {
  return [
    [mappingChain(owner), dnatChain],
    [mappingChain(owner, "SN-"), oldSourceChain],
  ];
}

/** The attachment's rules, and those of the chains that nobody else's rule leads to. */
function pick<Handle>(nat: NatTable<Handle>, names: readonly string[], owner: Owner): Picked<Handle> {
  const isOurs = (rule: NatRule<unknown>) => rule.chain === oldSourceChain || isOwnEntry(rule, owner);
  return removalOf(nat, names, isOurs, (rule) => isOwnRule(rule, owner));
}

function pickStale<Handle>(nat: NatTable<Handle>, network: string, valid: readonly ValidAttachment[]): Picked<Handle> {
  const isValid = (containerId: string, ifName: string | undefined) =>
    valid.some((one) => one.containerId === containerId && (ifName === undefined || one.ifName === ifName));
  const stale = new Map<string, Set<string | undefined>>();
  for (const { chain, comment, target } of nat.rules) {
    const words = chain === dnatChain && isMappingChain(target) ? parseEntryComment(comment ?? "") : undefined;
    if (words?.network !== network || isValid(words.containerId, words.ifName)) continue;
    stale.set(target, (stale.get(target) ?? new Set()).add(words.ifName));
  }
  const isStaleEntry = (rule: NatRule<unknown>) => {
    const words = parseEntryComment(rule.comment ?? "");
    return words?.network === network && !isValid(words.containerId, words.ifName);
  };
  const isStaleRule = ({ chain, comment }: NatRule<unknown>) =>
    [...(stale.get(chain) ?? [])].some(
      (ifName) => comment === (ifName === undefined ? undefined : ruleComment({ ifName })),
    );
  return removalOf(nat, [...stale.keys()], isStaleEntry, isStaleRule);
}

function removalOf<Handle>(
  nat: NatTable<Handle>,
  names: readonly string[],
  isOurs: (entry: NatRule<unknown>) => boolean,
  isOursInside: (rule: NatRule<unknown>) => boolean,
): Picked<Handle> {
  const rules: Handle[] = [];
  const shared = new Set<string>();
  for (const rule of nat.rules) {
    // None of these chains leads to itself.
    if (names.includes(rule.chain) || !names.includes(rule.target)) continue;
    if (isOurs(rule)) rules.push(rule.handle);
    else shared.add(rule.target);
  }
  const inside: NatRule<Handle>[] = [];
  for (const rule of nat.rules) {
    if (!names.includes(rule.chain)) continue;
    const isShared = shared.has(rule.chain);
    if (isShared && !isOursInside(rule)) continue;
    // Those of a chain that goes, go with it.
    if (isShared) rules.push(rule.handle);
    inside.push(rule);
  }
  const forwards = () => inside.map(({ forward }) => forward).filter((forward) => forward !== undefined);
  return { rules, forwards, chains: nat.chains.filter((name) => names.includes(name) && !shared.has(name)) };
}

function missingIn(
  { chains, rules }: NatTable<unknown>,
  owner: Owner,
  config: PortmapConfig,
  { ip }: Prefix,
): string | undefined {
  const name = mappingChain(owner);
  if (!chains.includes(name)) return `chain ${name} not found in iptables table nat`;
  const notFound = (what: string, chain: string) => `rule ${what} in chain ${chain} not found in table nat`;
  for (const { protocol, hostPort, containerPort } of mappingsOf(config, ip.family)) {
    const isThere = rules.some(
      (rule) =>
        isOwnRule(rule, owner) &&
        rule.forward?.protocol === protocolNumbers[protocol] &&
        // Of some protocols the port is in a form that is not read here.
        (rule.forward.hostPort ?? hostPort) === hostPort &&
        rule.forward.toPort === containerPort &&
        equalIp(rule.forward.to, ip),
    );
    if (!isThere) return notFound(`for ${protocol} port ${hostPort}`, name);
  }
  if (!rules.some((rule) => rule.target === name && isOwnEntry(rule, owner))) return notFound(`to ${name}`, dnatChain);
  for (const entry of ["PREROUTING", "OUTPUT"]) {
    if (!rules.some((rule) => rule.chain === entry && rule.target === dnatChain))
      return notFound(`to ${dnatChain}`, entry);
  }
  return undefined;
}

/** Waits for all; the first failure is thrown after all have ended, so that nothing goes on behind the caller's back. */
async function settle(works: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(works);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}
