import { CniError, code } from "../../cni/error.ts";
import type { ValidAttachment } from "../../cni/net-conf.ts";
import { formatPrefix, type Prefix } from "../../ip/prefix.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { messageOf } from "../../words/message.ts";
import { failure, inBoth } from "./failure.ts";
import { isIptablesError } from "./iptables.ts";
import {
  addMasqueradeChain,
  collectMasqueradeChains,
  deleteMasqueradeChain,
  withoutMasqueradeChain,
} from "./masquerade-iptables.ts";
import {
  addMasqueradeRules,
  collectMasqueradeRules,
  deleteMasqueradeRules,
  withoutMasqueradeRule,
} from "./masquerade-nftables.ts";
import type { Owner } from "./names.ts";
import { nftIfAvailable } from "./nft-of.ts";

/** What makes the rules of `ipMasq`. */
export type MasqueradeBackend = "iptables" | "nftables";

export interface MasqueradeSpec extends Owner {
  /** The config's `ipMasqBackend`; undefined: iptables, unless it can't do it here and nftables can. */
  readonly backend: MasqueradeBackend | undefined;
  /** The container's addresses, each with the length of its subnet. */
  readonly addresses: readonly Prefix[];
}

export interface MasqueradeOwner extends Owner {
  /**
   * The container's addresses if they are known (a previous result). Only iptables needs them, and only to tell two interfaces of one
   * container on one network apart: without them the rules of both go.
   */
  readonly addresses?: readonly Prefix[];
}

/**
 * Lets the container's packets to other networks leave under the node's addresses (`ipMasq`); repeating it changes nothing. Does
 * nothing without addresses. Throws `CniError`, code 11 when the rule set stayed busy; what was made by then is on `undo`.
 */
export async function setupMasquerade(host: Netns, spec: MasqueradeSpec, undo: UndoScope, log: Logger): Promise<void> {
  const { addresses, backend } = spec;
  if (addresses.length === 0) return;
  undo.push(`masquerading of ${addresses.map(formatPrefix).join(", ")}`, () => teardownMasquerade(host, spec, log));
  try {
    if (backend === "nftables") addMasqueradeRules(host, spec, addresses);
    else await addByIptables(host, spec, log);
  } catch (error) {
    throw failure(`failed to set up ipMasq of network ${spec.network}`, error);
  }
}

/**
 * Removes the attachment's rules, whichever back end, polynic or upstream made them. Needs neither the container's addresses nor its
 * namespace nor a binary; nothing to remove is fine. Both back ends are tried, then the first failure is thrown as `CniError`.
 */
export async function teardownMasquerade(host: Netns, owner: MasqueradeOwner, log: Logger): Promise<void> {
  const addresses = owner.addresses?.length === 0 ? undefined : owner.addresses;
  await inBoth(
    `failed to tear down ipMasq of network ${owner.network}`,
    () => deleteMasqueradeRules(host, owner),
    () => deleteMasqueradeChain(host, owner, addresses, log),
  );
}

/** Throws `CniError` unless each address is masqueraded, by whichever back end. */
export async function checkMasquerade(host: Netns, spec: MasqueradeSpec, log: Logger): Promise<void> {
  const missing = await missingOf(host, spec, log);
  if (missing.length === 0) return;
  const list = missing.map(formatPrefix).join(", ");
  const text = `ipMasq of network ${spec.network}: no rule masquerades ${list}`;
  throw new CniError(code.internal, text, "another program removed it, or flushed the packet filter");
}

/** Removes the rules of the network's attachments that are not `valid`, of both back ends. Throws as `teardownMasquerade`. */
export async function gcMasquerade(
  host: Netns,
  network: string,
  valid: readonly ValidAttachment[],
  log: Logger,
): Promise<void> {
  await inBoth(
    `failed to collect ipMasq of network ${network}`,
    () => collectMasqueradeRules(host, network, valid),
    () => collectMasqueradeChains(host, network, valid, log),
  );
}

async function addByIptables(host: Netns, spec: MasqueradeSpec, log: Logger): Promise<void> {
  try {
    await addMasqueradeChain(host, spec, spec.addresses);
  } catch (error) {
    const isChoiceOurs = spec.backend === undefined && isIptablesError(error, "missing", "unusable", "refused");
    if (!isChoiceOurs || nftIfAvailable(host) === undefined) throw error;
    log.verbose(`ipMasq by nftables, since iptables can't do it: ${error.message}`);
    // One IP version may have succeeded.
    await deleteMasqueradeChain(host, spec, spec.addresses, log);
    try {
      addMasqueradeRules(host, spec, spec.addresses);
    } catch (cause) {
      // Neither can: the reason of the one that was to be used comes first.
      const second = messageOf(cause);
      throw new Error(`${error.message}; and instead of it, ${second}`, { cause });
    }
  }
}

async function missingOf(host: Netns, spec: MasqueradeSpec, log: Logger): Promise<readonly Prefix[]> {
  try {
    const missing = withoutMasqueradeRule(host, spec, spec.addresses);
    return missing.length === 0 ? missing : await withoutMasqueradeChain(host, spec, missing, log);
  } catch (error) {
    throw failure(`failed to check ipMasq of network ${spec.network}`, error);
  }
}
