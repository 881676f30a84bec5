import { CniError, code } from "../../cni/error.ts";
import type { ValidAttachment } from "../../cni/net-conf.ts";
import type { Ip } from "../../ip/address.ts";
import type { Prefix } from "../../ip/prefix.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import { messageOf } from "../../words/message.ts";
import { failure, inBoth } from "../filter/failure.ts";
import type { Forward } from "../filter/forward.ts";
import { isIptablesError } from "../filter/iptables.ts";
import type { Owner } from "../filter/names.ts";
import { nftIfAvailable } from "../filter/nft-of.ts";
import type { Backend, PortmapConfig } from "./config.ts";
import { forgetForwarded, forwardsOf, hasUnending } from "./stale-flows.ts";

/** Whose rules are to go, and what is known of them; neither config nor addresses are needed. */
export interface RulesOwner extends Owner {
  readonly config: PortmapConfig | undefined;
  /** The pod's addresses, where a previous result tells them. */
  readonly addresses: readonly Ip[] | undefined;
}

/** An attachment with ports, and where its rules are to be. */
export interface MappedAttachment {
  readonly host: Netns;
  readonly owner: Owner;
  readonly config: PortmapConfig;
  /** The pod's, each with the length of its subnet. */
  readonly addresses: readonly Prefix[];
  readonly log: Logger;
}

/**
 * Makes the rules of an attachment in place of those it had, and returns by which back end. The config's, or iptables unless it can't do it here and
 * nftables can. Throws `CniError`, code 11 when the rule set stayed busy; what was made by then is for `removeRules`.
 */
export async function setUpRules(mapped: MappedAttachment): Promise<Backend> {
  try {
    if (mapped.config.backend === "nftables") return await byNftables(mapped);
    return await byIptables(mapped);
  } catch (error) {
    if (error instanceof CniError) throw error;
    throw failure(`unable to set up port mappings of network ${mapped.owner.network}`, error);
  }
}

/**
 * Removes the attachment's rules, whichever back end made them, and then forgets the connections that they made; nothing to remove is fine. Both
 * back ends are tried, then the first failure is thrown as `CniError`.
 */
export async function removeRules(host: Netns, owner: RulesOwner, log: Logger): Promise<void> {
  const { config, addresses } = owner;
  const known = config === undefined || addresses === undefined ? [] : forwardsOf(config, addresses);
  const gone: Forward[] = [...known];
  // Where nothing but the rules says what to forget, it is forgotten before they go as well: a DEL that is killed here can't be made up for.
  const foretold = (forwards: readonly Forward[]) => {
    if (known.length === 0 && hasUnending(forwards)) forgetForwarded(host, forwards, log);
  };
  // Known to be TCP alone: nothing is to be forgotten, and reading what the rules say is most of the work.
  const foresee = known.length > 0 && !hasUnending(known) ? undefined : foretold;
  try {
    await inBoth(
      `failed to remove port mappings of network ${owner.network}`,
      async () => {
        const { deleteFromNftables } = await import("./nftables.ts");
        gone.push(...deleteFromNftables(host, owner, addresses, foresee));
      },
      async () => {
        const { deleteFromIptables } = await import("./iptables.ts");
        gone.push(...(await deleteFromIptables(host, owner, log, foresee)));
      },
    );
  } finally {
    if (hasUnending(gone)) forgetForwarded(host, gone, log);
  }
}

/** Removes the rules of the network's attachments that are not `valid`, of both back ends. Throws as `removeRules`. */
export async function collectRules(
  host: Netns,
  network: string,
  valid: readonly ValidAttachment[],
  log: Logger,
): Promise<void> {
  const gone: Forward[] = [];
  const foresee = (forwards: readonly Forward[]) => {
    if (hasUnending(forwards)) forgetForwarded(host, forwards, log);
  };
  try {
    await inBoth(
      `failed to collect port mappings of network ${network}`,
      async () => {
        const { collectFromNftables } = await import("./nftables.ts");
        gone.push(...collectFromNftables(host, network, valid, foresee));
      },
      async () => {
        const { collectFromIptables } = await import("./iptables.ts");
        gone.push(...(await collectFromIptables(host, network, valid, log, foresee)));
      },
    );
  } finally {
    if (hasUnending(gone)) forgetForwarded(host, gone, log);
  }
}

/**
 * Throws `CniError` unless all rules of the attachment are there: by the config's back end or, where the choice was ours, by either. Returns the one that
 * has them.
 */
export async function checkRules({ host, owner, config, addresses, log }: MappedAttachment): Promise<Backend> {
  const { missingInIptables } = await import("./iptables.ts");
  const { missingInNftables } = await import("./nftables.ts");
  const missing: string[] = [];
  for (const backend of config.backend === undefined ? (["iptables", "nftables"] as const) : [config.backend]) {
    const text = await attempt(`failed to check port mappings of network ${owner.network}`, () =>
      backend === "iptables"
        ? missingInIptables(host, owner, config, addresses, log)
        : missingInNftables(host, owner, config, addresses),
    );
    if (text === undefined) return backend;
    missing.push(text);
  }
  const [first = ""] = missing;
  throw new CniError(code.internal, first, "another program removed it, or flushed the packet filter");
}

async function byNftables({ host, owner, config, addresses, log }: MappedAttachment): Promise<Backend> {
  const { addByNftables } = await import("./nftables.ts");
  addByNftables(host, owner, config, addresses, log);
  return "nftables";
}

async function byIptables(mapped: MappedAttachment): Promise<Backend> {
  const { host, owner, config, addresses, log } = mapped;
  const { addByIptables, deleteFromIptables } = await import("./iptables.ts");
  try {
    await addByIptables(host, owner, config, addresses);
    return "iptables";
  } catch (error) {
    const isChoiceOurs = config.backend === undefined && isIptablesError(error, "missing", "unusable", "refused");
    if (!isChoiceOurs || nftIfAvailable(host) === undefined) throw error;
    log.verbose(`port mappings by nftables, since iptables can't do it: ${error.message}`);
    // One IP version may have succeeded.
    await deleteFromIptables(host, owner, log, () => undefined);
    try {
      return await byNftables(mapped);
    } catch (cause) {
      // Neither can: the reason of the one that was to be used comes first.
      const second = messageOf(cause);
      throw new Error(`${error.message}; and instead of it, ${second}`, { cause });
    }
  }
}

async function attempt<T>(what: string, body: () => T | Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw failure(what, error);
  }
}
