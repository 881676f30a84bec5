import type { ValidAttachment } from "../../cni/net-conf.ts";
import { ipToBytes } from "../../ip/address.ts";
import { hostPrefix, type Prefix } from "../../ip/prefix.ts";
import type { Netns } from "../../netns/netns.ts";
import { isNftError } from "../../nft/error.ts";
import type { ListedExpression } from "../../nft/expression.ts";
import type { Nft } from "../../nft/nft.ts";
import { chain, rule, table, type Chain, type ListedRule, type Table } from "../../nft/object.ts";
import { destinationIn, goBack, goTo, masquerade, sourceIn } from "../../nft/statement.ts";
import { Transaction } from "../../nft/transaction.ts";
import { attachmentHash, networkHash, nftComment, type Owner } from "./names.ts";
import { nftOf, nftIfAvailable } from "./nft-of.ts";

// Masquerading by nftables, laid out as upstream lays it out: one table, a chain `masq_checks` with a rule for each address, and a
// base chain that leads there all but multicast.
//
// Upstream's table is of family inet. NAT in that family came with Linux 5.2, and a kernel may be built without it. Where it is
// refused we make two tables of the same name, of family ip and of family ip6, each with the same chains; upstream fails there. All
// else (clean-up, check, GC) looks at the tables of that name in whatever family, and so needs no such distinction.

const tableName = "cni_plugins_masquerade";
const checksName = "masq_checks";
const tableComment = "Masquerading for plugins from github.com/containernetworking/plugins";
const checksComment = "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet";
const sourceNat = { type: "nat", hook: "postrouting", priority: 100 } as const;
const multicast = [
  { ip: { family: 4, value: 0xe000_0000n }, bits: 4 },
  { ip: { family: 6, value: 0xffn << 120n }, bits: 8 },
] as const satisfies Prefix[];

/**
 * Masquerades what leaves `addresses` for destinations outside their own subnets, multicast excepted, in place of whatever rules this
 * attachment had. One transaction; throws `NftError` and leaves all as it was.
 */
export function addMasqueradeRules(host: Netns, owner: Owner, addresses: readonly Prefix[]): void {
  const nft = nftOf(host);
  const families = homes(nft).map(({ family }) => family);
  // A former call has found out already.
  const isSplit = !families.includes("inet") && families.length > 0;
  if (!isSplit) {
    try {
      addTo(nft, owner, [[table("inet", tableName, tableComment), addresses]]);
      return;
    } catch (error) {
      if (!isUnsupported(error)) throw error;
    }
  }
  const split = ([4, 6] as const).map((version): Share => {
    const family = version === 4 ? "ip" : "ip6";
    return [table(family, tableName, tableComment), addresses.filter(({ ip }) => ip.family === version)];
  });
  addTo(
    nft,
    owner,
    split.filter(([, own]) => own.length > 0),
  );
}

/** Removes the attachment's rules, whoever made them; none is fine. Throws `NftError`. */
export function deleteMasqueradeRules(host: Netns, owner: Owner): void {
  const prefix = attachmentHash(owner);
  deleteRules(host, (comment) => comment.startsWith(prefix));
}

/** Removes the rules of all attachments of the network but those that are valid. Throws `NftError`. */
export function collectMasqueradeRules(host: Netns, network: string, valid: readonly ValidAttachment[]): void {
  const keep = valid.map(({ containerId, ifName }) => attachmentHash({ network, containerId, ifName }));
  const prefix = `${networkHash(network)}-`;
  deleteRules(host, (comment) => comment.startsWith(prefix) && !keep.some((hash) => comment.startsWith(hash)));
}

/** Those of the addresses that no rule of the attachment masquerades. */
export function withoutMasqueradeRule(host: Netns, owner: Owner, addresses: readonly Prefix[]): readonly Prefix[] {
  const nft = nftIfAvailable(host);
  if (nft === undefined) return addresses;
  const prefix = attachmentHash(owner);
  const rules = masqueradeRules(nft).filter(({ comment }) => comment?.startsWith(prefix));
  return addresses.filter((address) => !rules.some((rule) => masquerades(rule.expressions, address)));
}

/** A table and the addresses that belong there. */
type Share = readonly [home: Table, addresses: readonly Prefix[]];

function addTo(nft: Nft, owner: Owner, shares: readonly Share[]): void {
  const prefix = attachmentHash(owner);
  const comment = nftComment(owner);
  nft.update(() => {
    const transaction = new Transaction();
    const present = homes(nft).flatMap((home) => nft.rules(home));
    for (const [home] of shares) addChains(transaction, home, present);
    for (const rule of inChecks(present)) if (rule.comment?.startsWith(prefix)) transaction.delete(rule);
    for (const [home, addresses] of shares) {
      for (const address of addresses) {
        const statements = [sourceIn(hostPrefix(address.ip)), destinationIn(address, "!="), masquerade];
        transaction.add(rule(checksOf(home), statements, comment));
      }
    }
    return transaction;
  });
}

/**
 * Makes table and chains, and fills the base chain anew, as upstream does each time; but not when all is there as it should be, which
 * spares the node's other ADDs the grace period that a deletion costs (see `Nft`).
 */
function addChains(transaction: Transaction, home: Table, present: readonly ListedRule[]): void {
  const checks = checksOf(home);
  const postrouting = chain(home, "postrouting", { base: sourceNat });
  const wanted = new Transaction();
  for (const group of multicast) {
    const isSeen = home.family === "inet" || (home.family === "ip") === (group.ip.family === 4);
    if (isSeen) wanted.add(rule(postrouting, [destinationIn(group), goBack]));
  }
  wanted.add(rule(postrouting, [goTo(checks)]));
  const isHere = ({ chain }: ListedRule) => chain.table.family === home.family && chain.name === postrouting.name;
  if (isFilledWith(present.filter(isHere), wanted)) return;
  transaction.add(home).add(checks).add(postrouting).flush(postrouting);
  for (const operation of wanted.operations) if (operation.verb === "append") transaction.add(operation.object);
}

function isFilledWith(present: readonly ListedRule[], wanted: Transaction): boolean {
  const expressions = wanted.operations.map((each) => (each.verb === "append" ? each.compiled.expressions : []));
  return Bun.deepEquals(
    present.map((rule) => rule.expressions),
    expressions,
  );
}

function checksOf(home: Table): Chain {
  return chain(home, checksName, { comment: checksComment });
}

/** The tables of our name, mostly one. */
function homes(nft: Nft): Table[] {
  return nft.tables().filter(({ name }) => name === tableName);
}

function masqueradeRules(nft: Nft): ListedRule[] {
  return homes(nft).flatMap((home) => nft.rules(checksOf(home)));
}

function inChecks(rules: readonly ListedRule[]): ListedRule[] {
  return rules.filter(({ chain }) => chain.name === checksName);
}

function deleteRules(host: Netns, isStale: (comment: string) => boolean): void {
  const nft = nftIfAvailable(host);
  nft?.update(() => {
    const stale = masqueradeRules(nft).filter(({ comment }) => comment !== undefined && isStale(comment));
    return stale.reduce((transaction, rule) => transaction.delete(rule), new Transaction());
  });
}

function masquerades(expressions: readonly ListedExpression[], { ip }: Prefix): boolean {
  const address = ipToBytes(ip).toHex();
  const isFrom = (one: ListedExpression) =>
    one.kind === "cmp" && one.operator === "==" && one.value.toHex() === address;
  return expressions.some(isFrom) && expressions.some(({ kind }) => kind === "masq");
}

/** True when the kernel refused the family, its NAT chains or the expression there; the last two it reports as not found. */
function isUnsupported(error: unknown): boolean {
  if (!isNftError(error, "ENOENT", "EOPNOTSUPP", "EAFNOSUPPORT", "EINVAL")) return false;
  const { operation } = error;
  return (
    /^add (table|chain) inet /.test(operation) ||
    (operation.startsWith("add rule inet ") && operation.includes(" masquerade "))
  );
}
