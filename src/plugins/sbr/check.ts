import { CniError, code } from "../../cni/error.ts";
import type { CheckCall } from "../../cni/plugin.ts";
import type { ResultIp, ResultRoute } from "../../cni/result.ts";
import { equalIp, formatIp, widthOf } from "../../ip/address.ts";
import { equalPrefix, formatPrefix, isDefault, networkOf } from "../../ip/prefix.ts";
import { RT_TABLE_MAIN } from "../../rtnl/constants.ts";
import type { Link } from "../../rtnl/link.ts";
import { listRoutes, type Route } from "../../rtnl/route.ts";
import { listRules } from "../../rtnl/rule.ts";
import { checkLink, findPodInterface } from "../common/check.ts";
import { explained } from "../common/explain.ts";
import { openPod } from "../common/pod-netns.ts";
import { addressesOf } from "./addresses.ts";
import type { SbrConfig } from "./config.ts";
import { gatewaysOf } from "./plan.ts";
import { isFrom, isSourceRule, type SourceRule } from "./rules.ts";

/**
 * CHECK: whether each address of the interface has its rule, and the table it leads to still has what leads out of the interface: the
 * address's subnet, a default route where one was made, and the routes that the result says are there. Upstream's looks at nothing. Throws
 * `CniError` code 999 that says what differs.
 */
export function check(call: CheckCall<SbrConfig>): void {
  const { config, ifName, prevResult } = call;
  const pod = openPod(call.netns);
  const link = checkLink(pod, findPodInterface(prevResult, ifName, pod));
  const [rules, routes] = explained(`failed to look at "${ifName}"`, () => [
    listRules(pod.rtnl).filter(isSourceRule),
    listRoutes(pod.rtnl, { device: link }),
  ]);
  for (const ip of addressesOf(prevResult, ifName)) {
    const table = tableOf(ip, rules, routes, config, link);
    const content = routes.filter((route) => route.table === table && isSameFamily(route, ip));
    if (config.table === undefined) checkSubnet(ip, table, content, link);
    checkDefault(ip, table, content, config, link);
    for (const route of prevResult.routes) checkTold(route, ip, table, content, link);
    if (config.keepSubnets && config.table === undefined) checkHint(ip, routes, link);
  }
}

/** The table that the rule of the address leads to: of several rules that of the config's table, or of one with routes over the interface. */
function tableOf(
  { address: { ip } }: ResultIp,
  rules: readonly SourceRule[],
  routes: readonly Route[],
  config: SbrConfig,
  link: Link,
): number {
  const own = rules.filter((rule) => isFrom(rule, ip));
  const [first] = own;
  if (first === undefined) {
    const where = config.table === undefined ? `a table of ${link.name}` : `table ${config.table}`;
    throw mismatch(`no rule leads packets from ${formatIp(ip)} to ${where}`);
  }
  if (config.table === undefined) {
    const used = own.find(({ table }) => routes.some((route) => route.table === table));
    return (used ?? first).table;
  }
  if (own.some(({ table }) => table === config.table)) return config.table;
  throw mismatch(
    `the rule for packets from ${formatIp(ip)} leads to table ${first.table}, expected table ${config.table}`,
  );
}

function checkSubnet({ address }: ResultIp, table: number, content: readonly Route[], link: Link): void {
  if (address.bits === widthOf(address.ip.family)) return;
  const network = networkOf(address);
  if (content.some(({ destination }) => equalPrefix(destination, network))) return;
  throw mismatch(`table ${table} has no route to ${formatPrefix(network)} over ${link.name}`);
}

/** Another gateway than the address's own may have come with a route; the config's is the only one. */
function checkDefault(ip: ResultIp, table: number, content: readonly Route[], config: SbrConfig, link: Link): void {
  const fixed = config.gateways[ip.address.ip.family];
  const gateway = fixed ?? (config.table === undefined ? ip.gateway : undefined);
  if (gateway === undefined) return;
  const defaults = content.filter(({ destination }) => isDefault(destination));
  const text = `table ${table} has no default route via ${formatIp(gateway)} over ${link.name}`;
  const [first] = defaults;
  if (first === undefined) throw mismatch(text);
  if (fixed === undefined || defaults.some((route) => gatewaysOf(route).some((each) => equalIp(each, fixed)))) return;
  throw mismatch(`${text}: the one there is via ${gatewaysOf(first).map(formatIp).join(", ") || "no gateway"}`);
}

/** A route that the result says is in this table. */
function checkTold(told: ResultRoute, ip: ResultIp, table: number, content: readonly Route[], link: Link): void {
  if (told.table !== table || told.dst.ip.family !== ip.address.ip.family) return;
  const destination = networkOf(told.dst);
  if (content.some((route) => equalPrefix(route.destination, destination))) return;
  throw mismatch(`Expected Route ${formatPrefix(destination)} not found in routing table ${table} over ${link.name}`);
}

function checkHint(ip: ResultIp, routes: readonly Route[], link: Link): void {
  const network = networkOf(ip.address);
  if (network.bits === widthOf(network.ip.family)) return;
  const main = routes.filter((route) => route.table === RT_TABLE_MAIN && equalPrefix(route.destination, network));
  if (main.some(({ source }) => source !== undefined)) return;
  throw mismatch(
    `the main table has no route to ${formatPrefix(network)} over ${link.name} that says which address to send from`,
  );
}

function isSameFamily({ destination }: Route, { address }: ResultIp): boolean {
  return destination.ip.family === address.ip.family;
}

function mismatch(message: string): CniError {
  return new CniError(code.internal, message);
}
