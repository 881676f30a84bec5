import { CniError, code } from "../../cni/error.ts";
import type { Result, ResultInterface, ResultIp, ResultRoute } from "../../cni/result.ts";
import { equalIp, formatIp, type Ip, isLinkLocalUnicast, widthOf } from "../../ip/address.ts";
import { formatMac } from "../../ip/mac.ts";
import { equalPrefix, formatPrefix, isDefault, networkOf } from "../../ip/prefix.ts";
import { isGone } from "../../netns/error.ts";
import { Netns } from "../../netns/netns.ts";
import { type Address, listAddresses } from "../../rtnl/address.ts";
import { RT_TABLE_LOCAL, RT_TABLE_MAIN, RTN_UNICAST } from "../../rtnl/constants.ts";
import { getLink, type Link } from "../../rtnl/link.ts";
import { listRoutes, type Route } from "../../rtnl/route.ts";
import { explained } from "./explain.ts";
import { equalMac } from "./mac.ts";
import { gatewayOf } from "./route-plan.ts";

/** The interface of a result that is in the pod under that name, and its number. */
export interface FoundInterface {
  readonly index: number;
  readonly entry: ResultInterface;
}

/** What CHECK finds different from the result of ADD; a `CniError` code 999, as upstream's are. */
export function mismatch(message: string): CniError {
  return new CniError(code.internal, message);
}

/**
 * The pod's interface `ifName` in a previous result. Throws when there is none, or when it is in another namespace: two paths of
 * one namespace (/run/netns, /var/run/netns, /proc/PID/ns/net) are no difference.
 */
export function findPodInterface(prevResult: Result, ifName: string, pod: Netns): FoundInterface {
  const named = prevResult.interfaces.flatMap((entry, index) => (entry.name === ifName ? [{ index, entry }] : []));
  const found = named.find(({ entry }) => isSameNamespace(entry.sandbox ?? "", pod));
  if (found !== undefined) return found;
  const [other] = named;
  throw mismatch(
    other === undefined
      ? `sandbox in prevResult  doesn't match configured netns: ${pod.path} (prevResult has no interface ${ifName}, it has ${prevResult.interfaces.map(({ name }) => name).join(", ") || "none"})`
      : `sandbox in prevResult ${other.entry.sandbox ?? ""} doesn't match configured netns: ${pod.path}`,
  );
}

function isSameNamespace(path: string, pod: Netns): boolean {
  if (path === pod.path) return true;
  if (path === "") return false;
  try {
    using other = Netns.open(path);
    return other.isSame(pod);
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** The link itself, with the MAC that the result tells (letter case does not matter). Throws when it is missing or another. */
export function checkLink(pod: Netns, { entry }: FoundInterface): Link {
  const link = explained(`failed to look up "${entry.name}"`, () => getLink(pod.rtnl, entry.name));
  if (link === undefined) throw mismatch(`container Interface name in prevResult: ${entry.name} not found`);
  const mac = formatMac(link.mac);
  if (entry.mac !== undefined && entry.mac !== "" && !equalMac(entry.mac, mac)) {
    throw mismatch(`interface ${entry.name} Mac ${entry.mac} doesn't match container Mac: ${mac}`);
  }
  return link;
}

/**
 * Whether the link has the MTU that its plugin was to give it (`configured`; 0 is none). What counts is the result, since a tuning behind that
 * plugin may have changed it; results before 1.1.0 do not tell, and then nobody can.
 */
export function checkMtu(link: Link, configured: number, { entry: { mtu = 0 } }: FoundInterface): void {
  if (configured === 0 || mtu === 0 || link.mtu === mtu) return;
  throw mismatch(`container ${link.kind} MTU ${link.mtu} does not match expected value: ${mtu}`);
}

/**
 * Looks whether the link has the addresses and routes that the result gives to interface number `index`, and is up if there are any (what
 * an application does with a link without addresses is its own business). Routes are looked for
 * in all tables of the pod, because sbr and vrf move them; of a default route only the device counts, since the dispatcher and sbr
 * replace them. Throws a `CniError` that begins as upstream's does and says what differs.
 */
export function checkAddressing(pod: Netns, link: Link, prevResult: Result, index: number): void {
  const ips = prevResult.ips.filter((ip) => ip.interface === undefined || ip.interface === index);
  if (ips.length > 0 && !link.up) throw mismatch(`interface ${link.name} is down`);
  const [addresses, routes] = explained(`failed to look at "${link.name}"`, () => [
    listAddresses(pod.rtnl, { device: link }),
    listRoutes(pod.rtnl, { device: link, type: RTN_UNICAST }),
  ]);
  for (const ip of ips) {
    checkAddress(link, ip, addresses);
    checkSubnet(link, ip, routes);
  }
  for (const route of prevResult.routes) checkRoute(link, route, gatewayOf(route, ips), routes);
}

function checkAddress(link: Link, { address: wanted }: ResultIp, addresses: readonly Address[]): void {
  const found = addresses.find(({ prefix }) => equalPrefix(prefix, wanted));
  const text = `Failed to match addr ${formatPrefix(wanted)} on interface ${link.name}`;
  if (found?.dadFailed === true) throw mismatch(`${text}: another node has it (DADFAILED)`);
  if (found !== undefined) return;
  const same = addresses.find(({ prefix }) => equalIp(prefix.ip, wanted.ip));
  if (same !== undefined) throw mismatch(`${text}: there it is ${formatPrefix(same.prefix)}`);
  throw mismatch(`${text}: it has ${list(addresses.filter(isOfInterest).map(({ prefix }) => formatPrefix(prefix)))}`);
}

function isOfInterest({ prefix: { ip } }: Address): boolean {
  return ip.family === 4 || !isLinkLocalUnicast(ip);
}

/** The address's network has to be reachable; one that is the address alone needs no route. */
function checkSubnet(link: Link, { address, gateway }: ResultIp, routes: readonly Route[]): void {
  if (address.bits === widthOf(address.ip.family)) return;
  const network = networkOf(address);
  if (routes.some(({ destination }) => equalPrefix(destination, network))) return;
  throw mismatch(
    `Failed to find Gateway ${gateway === undefined ? "<nil>" : formatIp(gateway)} for interface ${link.name}: no table has a route to ${formatPrefix(network)} over it`,
  );
}

function checkRoute(link: Link, wanted: ResultRoute, gateway: Ip | undefined, routes: readonly Route[]): void {
  const destination = networkOf(wanted.dst);
  const candidates = routes.filter((route) => equalPrefix(route.destination, destination) && isInTable(route, wanted));
  const text = `Expected Route ${describe(wanted, gateway)} not found in routing table`;
  if (candidates.length === 0) throw mismatch(`${text}: no route to ${formatPrefix(destination)} over ${link.name}`);
  if (isDefault(destination)) return;
  const flaws = candidates.map((route) => flawOf(route, wanted, gateway, link));
  const [flaw] = flaws;
  if (flaw !== undefined && !flaws.includes(undefined)) throw mismatch(`${text}: the route there is ${flaw}`);
}

/** Only a table that the result names has to be that one. */
function isInTable(route: Route, { table = 0 }: ResultRoute): boolean {
  if (table === 0 || table === RT_TABLE_MAIN) return route.table !== RT_TABLE_LOCAL;
  return route.table === table;
}

/** What is wrong with a route in a few words; undefined when it is as wanted. */
function flawOf(route: Route, wanted: ResultRoute, gateway: Ip | undefined, link: Link): string | undefined {
  const hops = (route.nextHops ?? [route]).filter((hop) => hop.device === link.index);
  const isThere = (hop: { readonly gateway?: Ip | undefined }) =>
    gateway === undefined || hop.gateway === undefined ? gateway === hop.gateway : equalIp(gateway, hop.gateway);
  if (!hops.some(isThere)) {
    const ways = hops.map((hop) => (hop.gateway === undefined ? "without a gateway" : `via ${formatIp(hop.gateway)}`));
    return ways.join(" and ");
  }
  const { priority = 0, mtu = 0, advmss = 0, scope } = wanted;
  // IPv6 knows no scopes of routes.
  if (scope !== undefined && wanted.dst.ip.family === 4 && route.scope !== scope) return `of scope ${route.scope}`;
  if (priority !== 0 && route.metric !== priority) return `of metric ${route.metric ?? 0}`;
  if (mtu !== 0 && route.metrics.mtu !== mtu) return `of mtu ${route.metrics.mtu ?? 0}`;
  if (advmss !== 0 && route.metrics.advmss !== advmss) return `of advmss ${route.metrics.advmss ?? 0}`;
  return undefined;
}

function describe(route: ResultRoute, gateway: Ip | undefined): string {
  const words = [formatPrefix(route.dst)];
  if (gateway !== undefined) words.push(`via ${formatIp(gateway)}`);
  for (const key of ["priority", "table", "scope", "mtu", "advmss"] as const) {
    if (route[key] !== undefined) words.push(`${key} ${route[key]}`);
  }
  return words.join(" ");
}

function list(texts: readonly string[]): string {
  return texts.length === 0 ? "none" : texts.join(", ");
}
