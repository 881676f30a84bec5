import { CniError, code } from "../../cni/error.ts";
import type { ValidAttachment } from "../../cni/net-conf.ts";
import { formatMac } from "../../ip/mac.ts";
import type { Netns } from "../../netns/netns.ts";
import type { ListedExpression } from "../../nft/expression.ts";
import type { Nft } from "../../nft/nft.ts";
import { chain, rule, table, type Chain, type ListedRule } from "../../nft/object.ts";
import { drop, etherSource, fromInterface, goBack, jump } from "../../nft/statement.ts";
import { Transaction } from "../../nft/transaction.ts";
import { cText } from "../../nft/userdata.ts";
import { listLinks } from "../../rtnl/link.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { failure } from "./failure.ts";
import { spoofCheckNames, type Owner } from "./names.ts";
import { nftOf, nftIfAvailable } from "./nft-of.ts";

// The MAC spoof check of a bridge port: what comes from the pod must carry the MAC that the pod was given. Objects, names and
// comments are upstream's; unlike there everything happens in one transaction, and a repeated ADD leaves no second jump behind.

const home = table("bridge", "nat");
const entry = chain(home, "PREROUTING", { base: { type: "filter", hook: "prerouting", priority: -300 } });
const namePrefix = spoofCheckNames({ containerId: "", ifName: "" }).interfaceChain.slice(0, -1);

/** The container's end is `ifName`; the check is keyed by container and interface, the network's name is no part of it. */
export type SpoofCheckOwner = Pick<Owner, "containerId" | "ifName">;

export interface SpoofCheckSpec extends SpoofCheckOwner {
  /** The bridge port: the host's end of the veth pair. */
  readonly hostInterface: string;
  /** What the container may send from: 6 bytes. */
  readonly mac: Uint8Array;
}

/**
 * Drops what comes in by `hostInterface` from another MAC than `mac`, in place of a check that this container's interface had.
 * Throws `CniError` and leaves all as it was; code 11 when others kept changing the rule set.
 */
export function setupSpoofCheck(host: Netns, spec: SpoofCheckSpec, undo: UndoScope): void {
  const { comment, interfaceChain, macChain } = spoofCheckNames(spec);
  const [port, macs] = [chain(home, interfaceChain), chain(home, macChain)];
  undo.push(`spoof check of ${spec.hostInterface}`, () => teardownSpoofCheck(host, spec));
  attempt("failed to setup spoof-check", () => {
    const nft = nftOf(host);
    nft.update(() => {
      const transaction = new Transaction();
      // Adding a base chain that is there already counts as a change of it, and would cost a grace period (see `Nft`).
      if (!nft.hasChain(entry)) transaction.add(home).add(entry);
      transaction.add(port).add(macs);
      for (const old of jumpsTo(nft, interfaceChain)) transaction.delete(old);
      return transaction
        .flush(port)
        .flush(macs)
        .add(rule(entry, [fromInterface(spec.hostInterface), jump(port)], comment))
        .add(rule(port, [jump(macs)], comment))
        .add(rule(macs, [etherSource(spec.mac), goBack], comment))
        .add(rule(macs, [drop], comment));
    });
  });
}

/**
 * Removes the check of a container's interface, whoever made it; none is fine. Table and base chain stay, for they are everybody's.
 * Throws `CniError`.
 */
export function teardownSpoofCheck(host: Netns, owner: SpoofCheckOwner): void {
  const { interfaceChain } = spoofCheckNames(owner);
  attempt("failed to teardown spoof-check", () => {
    const nft = nftIfAvailable(host);
    nft?.update(() => removal(nft, [interfaceChain]));
  });
}

/** Throws `CniError` unless the check is in place for this interface and this MAC. */
export function checkSpoofCheck(host: Netns, spec: SpoofCheckSpec): void {
  const { interfaceChain, macChain } = spoofCheckNames(spec);
  const problem = attempt("failed to check spoof-check", () => {
    const nft = nftIfAvailable(host);
    if (nft === undefined) return "this kernel has no nf_tables";
    const inChain = (name: string) => nft.rules(chain(home, name));
    if (!jumpsTo(nft, interfaceChain).some((jump) => interfaceOf(jump.expressions) === spec.hostInterface))
      return `no rule leads from ${spec.hostInterface} to chain ${interfaceChain}`;
    if (!inChain(interfaceChain).some((jump) => leadsTo(jump, macChain))) return `chain ${interfaceChain} is empty`;
    const [pass, stop] = inChain(macChain);
    const isRight = pass !== undefined && comparesWith(pass.expressions, spec.mac) && endsIn(pass, "return");
    return isRight && stop !== undefined && endsIn(stop, "drop")
      ? undefined
      : `chain ${macChain} does not let pass ${formatMac(spec.mac)} alone`;
  });
  if (problem !== undefined) throw new CniError(code.internal, `spoof-check of ${spec.hostInterface}: ${problem}`);
}

/**
 * Removes the checks of interfaces that are no more. The names say nothing of the network, so `valid`, which lists the attachments of
 * one network only, can't tell what is stale: a check goes when its port is gone and no valid attachment claims it.
 */
export function gcSpoofCheck(host: Netns, valid: readonly ValidAttachment[]): void {
  const kept = new Set(valid.map((attachment) => spoofCheckNames(attachment).interfaceChain));
  attempt("failed to collect spoof-check", () => {
    const nft = nftIfAvailable(host);
    if (nft === undefined) return;
    const isStale = (jump: ListedRule) => {
      const target = targetOf(jump) ?? "";
      return target.startsWith(namePrefix) && !kept.has(target);
    };
    const suspects = entryRules(nft).filter(isStale);
    if (suspects.length === 0) return;
    const alive = new Set(listLinks(host.rtnl).map(({ name }) => name));
    const dead = suspects.filter((jump) => !alive.has(interfaceOf(jump.expressions) ?? ""));
    nft.update(() =>
      removal(
        nft,
        dead.map((jump) => targetOf(jump) ?? ""),
      ),
    );
  });
}

/** Removes the jumps to these chains, the chains, and the chains behind them. */
function removal(nft: Nft, interfaceChains: readonly string[]): Transaction {
  const transaction = new Transaction();
  for (const name of interfaceChains) {
    for (const jump of jumpsTo(nft, name)) transaction.delete(jump);
    const present = [chain(home, name), chain(home, `${name}-mac`)].filter((one) => nft.hasChain(one));
    // Rules first: a chain that a rule leads to can't go.
    for (const one of present) transaction.flush(one);
    for (const one of present) transaction.delete(one);
  }
  return transaction;
}

function entryRules(nft: Nft): ListedRule[] {
  return nft.rules(entry);
}

function jumpsTo(nft: Nft, name: string): ListedRule[] {
  return entryRules(nft).filter((rule) => leadsTo(rule, name));
}

function leadsTo(rule: ListedRule, name: string): boolean {
  return targetOf(rule) === name;
}

/** Where a rule leads; undefined when it leads nowhere. */
function targetOf({ expressions }: ListedRule): Chain["name"] | undefined {
  for (const one of expressions) if (one.kind === "verdict" && one.chain !== undefined) return one.chain;
  return undefined;
}

function endsIn({ expressions }: ListedRule, verdict: "return" | "drop"): boolean {
  const last = expressions.at(-1);
  return last?.kind === "verdict" && last.verdict === verdict;
}

/** The interface that a rule's `iifname` asks for; undefined when it does not ask. */
function interfaceOf(expressions: readonly ListedExpression[]): string | undefined {
  const at = expressions.findIndex((one) => one.kind === "meta" && one.key === "iifname");
  const next = at < 0 ? undefined : expressions[at + 1];
  return next?.kind === "cmp" && next.operator === "==" ? cText(next.value) : undefined;
}

function comparesWith(expressions: readonly ListedExpression[], value: Uint8Array): boolean {
  return expressions.some((one) => one.kind === "cmp" && one.operator === "==" && one.value.toHex() === value.toHex());
}

function attempt<T>(what: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw failure(what, error);
  }
}
