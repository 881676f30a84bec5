import { isErrno } from "../../libc/errno.ts";
import { readText } from "../../libc/file.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import type { Nft } from "../../nft/nft.ts";
import { chain, table, type ListedRule, type Table } from "../../nft/object.ts";
import { Transaction } from "../../nft/transaction.ts";
import { isIptablesError, listNat, restoreNat, type Variant } from "./iptables.ts";
import { parseNat, readNatRule, type NatRule, type NatTable, type Removal } from "./nat-rules.ts";
import { nftIfAvailable } from "./nft-of.ts";

// Table nat is in nf_tables when the host's iptables is iptables-nft, and then we read it, and remove from it, ourselves: by handle, in
// one transaction, without a process. x_tables, the kernel's other place for it, can only be worked on by the binary; most hosts have
// nothing there, and the kernel says so in /proc.

type Version = 4 | 6;

/** Answers a table with what to remove from it. */
type Select = <Handle>(nat: NatTable<Handle>) => Removal<Handle>;

/** Part of the table: a chain, and those whose rules lead there. */
export interface NatScope {
  readonly chain: string;
  readonly from: readonly string[];
}

/** Table nat of nf_tables, or what `scope` says of it. Undefined where there is none, or not that chain. */
export function readNativeNat(host: Netns, version: Version, scope?: NatScope): NatTable<ListedRule> | undefined {
  const nft = nftIfAvailable(host);
  return nft === undefined ? undefined : read(nft, natOf(version), scope);
}

/** As `readNativeNat`, for these chains; those that are missing have no rules, and only those that are there are named. */
export function readNativeChains(
  host: Netns,
  version: Version,
  names: readonly string[],
): NatTable<ListedRule> | undefined {
  const nft = nftIfAvailable(host);
  if (nft === undefined) return undefined;
  const nat = natOf(version);
  const chains: string[] = [];
  const rules: NatRule<ListedRule>[] = [];
  for (const name of names) {
    const one = chain(nat, name);
    const own = nft.rules(one);
    if (own.length > 0 || nft.hasChain(one)) chains.push(name);
    for (const rule of own) rules.push(readNatRule(rule));
  }
  return { chains, rules };
}

/** Removes what `select` picks from table nat of nf_tables, of which it is shown as much as `readNativeNat` reads. */
export function removeNative(host: Netns, version: Version, scope: NatScope | undefined, select: Select): void {
  const nft = nftIfAvailable(host);
  nft?.update(() => {
    const transaction = new Transaction();
    const nat = natOf(version);
    const present = read(nft, nat, scope);
    if (present === undefined) return transaction;
    const { rules, chains } = select(present);
    for (const rule of rules) transaction.delete(rule);
    for (const name of chains) transaction.flush(chain(nat, name));
    for (const name of chains) transaction.delete(chain(nat, name));
    return transaction;
  });
}

/** Table nat of x_tables; undefined where there is none, and where no binary can list it, which is logged. */
export async function readLegacyNat(host: Netns, version: Version, log: Logger): Promise<NatTable<string> | undefined> {
  if (!hasLegacyNat(host, version)) return undefined;
  const found = await list(host, version, log);
  return found?.nat;
}

/** Removes what `select` picks from table nat of x_tables. */
export async function removeLegacy(host: Netns, version: Version, select: Select, log: Logger): Promise<void> {
  if (!hasLegacyNat(host, version)) return;
  const found = await list(host, version, log);
  if (found === undefined) return;
  const { rules, chains } = select(found.nat);
  if (rules.length + chains.length === 0) return;
  const lines = [
    ...rules.map((rule) => `-D ${rule}`),
    ...chains.map((name) => `-F ${name}`),
    ...chains.map((name) => `-X ${name}`),
  ];
  await restoreNat(host, version, lines, found.variant);
}

function read(nft: Nft, nat: Table, scope: NatScope | undefined): NatTable<ListedRule> | undefined {
  if (scope === undefined) {
    const chains = nft.chains(nat).map((one) => one.name);
    return chains.length === 0 ? undefined : { chains, rules: nft.rules(nat).map(readNatRule) };
  }
  if (!nft.hasChain(chain(nat, scope.chain))) return undefined;
  const rules = [...scope.from, scope.chain].flatMap((one) => nft.rules(chain(nat, one)));
  return { chains: [scope.chain], rules: rules.map(readNatRule) };
}

function natOf(version: Version): Table {
  return table(version === 4 ? "ip" : "ip6", "nat");
}

/** True when the namespace has a table nat in x_tables, or when that can't be found out. */
export function hasLegacyNat(host: Netns, version: Version): boolean {
  const file = version === 4 ? "ip_tables_names" : "ip6_tables_names";
  try {
    const names = host.enter(() => readText(`/proc/thread-self/net/${file}`));
    return names.split("\n").includes("nat");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    if (isErrno(error, "EACCES", "EPERM")) return true;
    throw error;
  }
}

interface Found {
  readonly variant: Variant;
  readonly nat: NatTable<string>;
}

/** By the first binary that is there: where both kinds are installed, only the one named legacy is sure to look at x_tables. */
async function list(host: Netns, version: Version, log: Logger): Promise<Found | undefined> {
  for (const variant of ["legacy", "default"] as const) {
    try {
      return { variant, nat: parseNat(await listNat(host, version, variant)) };
    } catch (error) {
      if (!isIptablesError(error, "missing", "unusable")) throw error;
      log.verbose(`no look at table nat of x_tables: ${error.message}`);
    }
  }
  return undefined;
}
