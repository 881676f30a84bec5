import type { Ip } from "../../ip/address.ts";
import { equalIp, widthOf } from "../../ip/address.ts";
import { hostPrefix } from "../../ip/prefix.ts";
import { FR_ACT_TO_TBL, RT_TABLE_DEFAULT } from "../../rtnl/constants.ts";
import type { Rule, RuleSpec } from "../../rtnl/rule.ts";

/**
 * What our rules have as FRA_PROTOCOL (kernel 4.17 and newer): one of the numbers above those of include/uapi/linux/rtnetlink.h that are
 * anybody's. It tells a rule of ours whose interface is gone from one that the pod made itself.
 */
const ownProtocol = 201;

/** Packets from this address look into that table. The kernel gives it the priority in front of all rules but that of the local table. */
export function ruleFor(source: Ip, table: number): RuleSpec {
  return { family: source.family, source: hostPrefix(source), table, protocol: ownProtocol };
}

/** A rule as sbr makes them, upstream's too: from one address to a table that is not one of the kernel's own, and nothing else. */
export interface SourceRule extends Rule {
  readonly source: NonNullable<Rule["source"]>;
  readonly table: number;
}

/** True for a rule that a sbr may have made. */
export function isSourceRule(rule: Rule): rule is SourceRule {
  const { source, table } = rule;
  if (source === undefined || table === undefined || source.bits !== widthOf(rule.family)) return false;
  // local, main and default, the last one with the lowest number.
  if (table >= RT_TABLE_DEFAULT && table < 256) return false;
  if (rule.action !== FR_ACT_TO_TBL || rule.invert || rule.l3mdev || rule.tos !== 0) return false;
  return (
    rule.destination === undefined &&
    rule.inputDevice === undefined &&
    rule.outputDevice === undefined &&
    rule.mark === undefined &&
    rule.suppressPrefixLength === undefined
  );
}

/** True for a rule that is certainly of this sbr, of whatever interface. */
export function isMarked(rule: Rule): boolean {
  return rule.protocol === ownProtocol;
}

/** True when the rule is for what is sent from that address. */
export function isFrom(rule: SourceRule, ip: Ip): boolean {
  return equalIp(rule.source.ip, ip);
}
