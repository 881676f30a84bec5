import type { DelCall } from "../../cni/plugin.ts";
import { equalIp, type Ip } from "../../ip/address.ts";
import type { NetlinkRequest } from "../../netlink/message.ts";
import type { Netns } from "../../netns/netns.ts";
import { type Address, listAddresses } from "../../rtnl/address.ts";
import { getLink, type Link } from "../../rtnl/link.ts";
import { deleteRoute, listRoutes, type Route } from "../../rtnl/route.ts";
import { deleteRule, listRules } from "../../rtnl/rule.ts";
import { explain, explained } from "../common/explain.ts";
import { addressesOf } from "./addresses.ts";
import type { SbrConfig } from "./config.ts";
import { isFrom, isMarked, isSourceRule, type SourceRule } from "./rules.ts";
import { isClaim } from "./tables.ts";

/**
 * DEL: the rules of the interface's addresses, and what the tables they lead to have of the interface. It may be gone: then its addresses are
 * those of the previous result, and of our own rules all go whose address the pod has no more. Without a namespace there is nothing.
 */
export function del({ config, conf, ifName, netns }: DelCall<SbrConfig>): void {
  const pod = netns.openIfExists();
  if (pod === undefined) return;
  const link = explained(`failed to look up "${ifName}"`, () => getLink(pod.rtnl, ifName));
  const told = conf.prevResult === undefined ? [] : addressesOf(conf.prevResult, ifName);
  const rules = ownRules(
    pod,
    link,
    told.map(({ address }) => address.ip),
    config?.table,
  );
  const requests: NetlinkRequest[] = [];
  for (const { family, priority, source, table } of rules)
    requests.push(deleteRule({ family, priority, source, table }));
  if (link !== undefined) for (const route of ownRoutes(pod, link, rules)) requests.push(deleteRoute(route));
  for (const error of pod.rtnl.batch(requests)) {
    // Somebody was quicker, the kernel included.
    if (error === undefined || error.code === "ENOENT" || error.code === "ESRCH") continue;
    throw explain(`failed to delete what sbr made for "${ifName}"`, error);
  }
}

/** The rules of the interface, as far as they can be told from the others'. */
function ownRules(pod: Netns, link: Link | undefined, told: readonly Ip[], table: number | undefined): SourceRule[] {
  const rules: SourceRule[] = [];
  for (const rule of listRules(pod.rtnl)) if (isSourceRule(rule)) rules.push(rule);
  if (rules.length === 0) return [];
  const addresses = listAddresses(pod.rtnl);
  const own: SourceRule[] = [];
  for (const rule of rules) {
    const holders = holdersOf(rule, addresses);
    const isOrphan = holders.length === 0 && isMarked(rule);
    const isOurs = told.some((ip) => isFrom(rule, ip)) || (link !== undefined && holders.includes(link.index));
    if (!isOrphan && !(isOurs && (table === undefined || rule.table === table))) continue;
    // The address may be on two interfaces.
    if (holders.some((index) => index !== link?.index) && leadsElsewhere(pod, rule, link)) continue;
    own.push(rule);
  }
  return own;
}

/** Indexes of the interfaces that have the rule's address. */
function holdersOf(rule: SourceRule, addresses: readonly Address[]): number[] {
  const holders: number[] = [];
  for (const { device, prefix } of addresses) if (equalIp(prefix.ip, rule.source.ip)) holders.push(device);
  return holders;
}

/** True when the rule's table has routes, and all of them go over other interfaces. */
function leadsElsewhere(pod: Netns, { family, table }: SourceRule, link: Link | undefined): boolean {
  const routes = listRoutes(pod.rtnl, { family, table });
  return routes.length > 0 && !routes.some((route) => isOver(route, link?.index));
}

/** What goes over the interface in the tables that its rules lead to, or that it has claimed. */
function ownRoutes(pod: Netns, link: Link, rules: readonly SourceRule[]): Route[] {
  const routes = listRoutes(pod.rtnl, { device: link });
  const tables = new Set(rules.map(({ table }) => table));
  for (const route of routes) if (isClaim(route, link)) tables.add(route.table);
  return routes.filter(({ table }) => tables.has(table));
}

function isOver({ device, nextHops }: Route, index: number | undefined): boolean {
  return device === index || (nextHops ?? []).some((hop) => hop.device === index);
}
