import type { ValidAttachment } from "../../cni/net-conf.ts";
import { formatPrefix, hostPrefix, equalPrefix, networkOf, type Prefix } from "../../ip/prefix.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import { isIptablesError, listNat, restoreNat } from "./iptables.ts";
import { chainName, isChainName, parseXtComment, xtComment, type Owner } from "./names.ts";
import { type NatScope, readLegacyNat, readNativeNat, removeLegacy, removeNative } from "./nat-table.ts";
import { parseNat, quote, type NatRule, type NatTable, type Removal } from "./nat-rules.ts";

// Masquerading by iptables, laid out as upstream lays it out: for each container and network a chain that lets pass what stays in
// the subnet and masquerades the rest but multicast, and for each address a jump there from POSTROUTING.

type Version = 4 | 6;

const versions = [4, 6] as const;
const multicast = { 4: "224.0.0.0/4", 6: "ff00::/8" } as const;

/**
 * Masquerades `addresses`, by one call of iptables-restore for each IP version among them. When the chain is there already (a
 * repeated ADD, or another interface of the container on the same network) it takes two calls more, and what is there is completed.
 * Throws `IptablesError`: "missing" or "unusable" where this host can't do it.
 */
export async function addMasqueradeChain(host: Netns, owner: Owner, addresses: readonly Prefix[]): Promise<void> {
  await forEachVersion(async (version) => {
    const own = addresses.filter(({ ip }) => ip.family === version);
    if (own.length === 0) return;
    try {
      await restoreNat(host, version, linesForNew(owner, version, own));
    } catch (error) {
      if (!isIptablesError(error, "refused")) throw error;
      const present = parseNat(await listNat(host, version));
      await restoreNat(host, version, linesToComplete(present, owner, version, own));
    }
  });
}

/**
 * Removes the jumps to the container's chain, all of them or those of `addresses`, and the chain once nothing leads there any more.
 * Nothing to remove is fine, and so is a host without iptables. Throws `NftError` or `IptablesError`.
 */
export async function deleteMasqueradeChain(
  host: Netns,
  owner: Owner,
  addresses: readonly Prefix[] | undefined,
  log: Logger,
): Promise<void> {
  const name = chainName(owner.network, owner.containerId);
  const comment = xtComment(owner.network, owner.containerId);
  const isOurs = (jump: NatRule<unknown>) =>
    (jump.comment ?? comment) === comment && (addresses === undefined || addresses.some((one) => isFrom(jump, one)));
  await forEachVersion(async (version) => {
    removeNative(host, version, scopeOf(name), (nat) => pick(nat, [name], isOurs));
    await removeLegacy(host, version, (nat) => pick(nat, [name], isOurs), log);
  });
}

/** Removes the chains of the network's containers that have no valid attachment, and the jumps there. Throws as the above. */
export async function collectMasqueradeChains(
  host: Netns,
  network: string,
  valid: readonly ValidAttachment[],
  log: Logger,
): Promise<void> {
  const kept = new Set(valid.map(({ containerId }) => chainName(network, containerId)));
  const isOfNetwork = ({ comment }: NatRule<unknown>) => parseXtComment(comment ?? "")?.network === network;
  const stale = <Handle>(nat: NatTable<Handle>): Removal<Handle> => {
    const claimed = nat.rules.filter(isOfNetwork).flatMap((rule) => [rule.chain, rule.target]);
    const names = [...new Set(claimed)].filter((name) => isChainName(name) && !kept.has(name));
    return pick(nat, names, isOfNetwork);
  };
  await forEachVersion(async (version) => {
    removeNative(host, version, undefined, stale);
    await removeLegacy(host, version, stale, log);
  });
}

/** Those of the addresses that no jump leads to masquerading. */
export async function withoutMasqueradeChain(
  host: Netns,
  owner: Owner,
  addresses: readonly Prefix[],
  log: Logger,
): Promise<readonly Prefix[]> {
  const name = chainName(owner.network, owner.containerId);
  let missing = addresses;
  for (const version of versions) {
    const settle = (nat: NatTable<unknown> | undefined) => {
      const masquerades = nat?.rules.some(({ chain, target }) => chain === name && target === "MASQUERADE") ?? false;
      if (!masquerades) return;
      const jumps = nat?.rules.filter(({ target }) => target === name) ?? [];
      missing = missing.filter((address) => !jumps.some((jump) => isFrom(jump, address)));
    };
    const isOpen = () => missing.some(({ ip }) => ip.family === version);
    if (isOpen()) settle(readNativeNat(host, version, scopeOf(name)));
    if (isOpen()) settle(await readLegacyNat(host, version, log));
  }
  return missing;
}

function scopeOf(name: string): NatScope {
  return { chain: name, from: ["POSTROUTING"] };
}

/** `-N` refuses a chain that is there: that is how a repeated call is told from a first one. */
function linesForNew(owner: Owner, version: Version, addresses: readonly Prefix[]): string[] {
  const name = chainName(owner.network, owner.containerId);
  const subnets = unique(addresses.map((address) => formatPrefix(networkOf(address))));
  return [`-N ${name}`, ...body(owner, version, subnets), ...addresses.map((address) => jumpLine(owner, address))];
}

/** The chain anew, with the subnets it had and ours; jumps that are there stay, whoever's they are. */
function linesToComplete(
  nat: NatTable<unknown>,
  owner: Owner,
  version: Version,
  addresses: readonly Prefix[],
): string[] {
  const name = chainName(owner.network, owner.containerId);
  const accepted = nat.rules.filter(({ chain, target }) => chain === name && target === "ACCEPT");
  const known = accepted.flatMap(({ destination }) => (destination === undefined ? [] : [formatPrefix(destination)]));
  const subnets = unique([...known, ...addresses.map((address) => formatPrefix(networkOf(address)))]);
  const jumps = nat.rules.filter(({ target }) => target === name);
  const missing = addresses.filter((address) => !jumps.some((jump) => isFrom(jump, address)));
  // A chain that is declared is made, or emptied.
  return [`:${name} - [0:0]`, ...body(owner, version, subnets), ...missing.map((address) => jumpLine(owner, address))];
}

function body(owner: Owner, version: Version, subnets: readonly string[]): string[] {
  const name = chainName(owner.network, owner.containerId);
  const comment = commentWords(owner);
  return [
    ...subnets.map((subnet) => `-A ${name} -d ${subnet} ${comment} -j ACCEPT`),
    `-A ${name} ! -d ${multicast[version]} ${comment} -j MASQUERADE`,
  ];
}

function jumpLine(owner: Owner, { ip }: Prefix): string {
  const name = chainName(owner.network, owner.containerId);
  return `-A POSTROUTING -s ${formatPrefix(hostPrefix(ip))} ${commentWords(owner)} -j ${name}`;
}

function commentWords({ network, containerId }: Owner): string {
  return `-m comment --comment ${quote(xtComment(network, containerId))}`;
}

/** Old versions of upstream had the whole prefix as the source. */
function isFrom({ source }: NatRule<unknown>, address: Prefix): boolean {
  if (source === undefined) return false;
  return equalPrefix(source, hostPrefix(address.ip)) || equalPrefix(source, networkOf(address));
}

/** The jumps to these chains that are `isOurs`, and the chains that no other jump leads to. */
function pick<Handle>(
  nat: NatTable<Handle>,
  names: readonly string[],
  isOurs: (jump: NatRule<Handle>) => boolean,
): Removal<Handle> {
  const all = nat.rules.filter(({ target }) => names.includes(target));
  const jumps = all.filter(isOurs);
  const others = new Set(all.filter((jump) => !jumps.includes(jump)).map(({ target }) => target));
  const chains = nat.chains.filter((name) => names.includes(name) && !others.has(name));
  return { rules: jumps.map(({ handle }) => handle), chains };
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

/** Both at once; the first failure is thrown after both have ended, so that nothing goes on behind the caller's back. */
async function forEachVersion(body: (version: Version) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(versions.map(body));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}
