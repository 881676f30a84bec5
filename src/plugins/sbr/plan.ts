import type { ResultIp, ResultRoute } from "../../cni/result.ts";
import { equalIp, type Ip, isLinkLocalUnicast, widthOf } from "../../ip/address.ts";
import { containsIp, equalPrefix, isDefault, networkOf, type Prefix } from "../../ip/prefix.ts";
import { RT_SCOPE_LINK, RT_TABLE_MAIN } from "../../rtnl/constants.ts";
import type { Device } from "../../rtnl/device.ts";
import type { Route, RouteSpec } from "../../rtnl/route.ts";
import type { Gateways, SbrConfig } from "./config.ts";

/** What is to become of the interface's routes. */
export interface Plan {
  /** The routes of each address's table, in the order of `ips`; they name no table yet. */
  readonly tables: readonly (readonly RouteSpec[])[];
  /** What goes from the main table. */
  readonly remove: readonly Route[];
  /** What comes into the main table after that. */
  readonly hints: readonly RouteSpec[];
}

/** What a plan is made of. */
export interface Situation {
  readonly device: Device & object;
  /** The addresses of the interface, as the previous result tells them. */
  readonly ips: readonly ResultIp[];
  /** The routes of the previous result. */
  readonly told: readonly ResultRoute[];
  /** The routes of the namespace, as the kernel lists them. */
  readonly routes: readonly Route[];
}

/**
 * Each address gets the routes of its own family that are for it, as they are (metrics, scope, several gateways): those whose source or a
 * gateway of which is in its subnet, those with neither, and those that are for no address in particular, such as a default route over a
 * gateway outside of all subnets. It gets a default route if there is none among them and a gateway is known.
 *
 * The main table loses them, but for what IPv6 needs on every link (fe80::/10), for families without an address here, and for routes that go
 * over other interfaces too. With `keepSubnets` those without a gateway stay, and say which address to send from.
 */
export function planTables({ device, ips, told, routes }: Situation, config: SbrConfig): Plan {
  const own = movable(routes, device, ips);
  const tables: RouteSpec[][] = [];
  for (const ip of ips) {
    const chosen = routesFor(ip, own, ips);
    tables.push(withDefault(chosen, ip, told, config.gateways, device));
  }
  const remove: Route[] = [];
  const hints: RouteSpec[] = [];
  for (const route of own) {
    if (familyOf(route) === 6 && isLinkLocalUnicast(route.destination.ip)) continue;
    if (!config.keepSubnets || hasGateway(route)) {
      remove.push(route);
      continue;
    }
    const source = route.source ?? ips.find(({ address }) => isSubnetOf(route, address))?.address.ip;
    if (source === route.source) continue;
    remove.push(route);
    hints.push({ ...route, source });
  }
  return { tables, remove, hints };
}

/** Routes of the main table that go over the interface alone and are of a family that the interface has an address of. */
function movable(routes: readonly Route[], device: Device & object, ips: readonly ResultIp[]): Route[] {
  const own: Route[] = [];
  for (const route of routes) {
    if (route.table !== RT_TABLE_MAIN) continue;
    const isAlone = route.nextHops?.every((hop) => hop.device === device.index) ?? route.device === device.index;
    if (isAlone && ips.some(({ address }) => address.ip.family === familyOf(route))) own.push(route);
  }
  return own;
}

function routesFor(ip: ResultIp, own: readonly Route[], ips: readonly ResultIp[]): RouteSpec[] {
  const { family } = ip.address.ip;
  const chosen: RouteSpec[] = [];
  for (const route of own) {
    if (familyOf(route) !== family) continue;
    if (isFor(route, ip.address) || !ips.some(({ address }) => isFor(route, address))) chosen.push(route);
  }
  return chosen;
}

/** Whether a route is for what is sent from an address. */
function isFor(route: Route, address: Prefix): boolean {
  if (familyOf(route) !== address.ip.family) return false;
  if (route.source !== undefined && containsIp(address, route.source)) return true;
  const gateways = gatewaysOf(route);
  if (gateways.length === 0) return route.source === undefined;
  return gateways.some((gateway) => containsIp(address, gateway));
}

function withDefault(
  chosen: readonly RouteSpec[],
  ip: ResultIp,
  told: readonly ResultRoute[],
  configured: Gateways,
  device: Device,
): RouteSpec[] {
  const { family } = ip.address.ip;
  const fixed = configured[family];
  // A gateway of the config is there instead of what the plugins before have made.
  const kept = fixed === undefined ? [...chosen] : chosen.filter(({ destination }) => !isDefault(destination));
  if (kept.some(({ destination }) => isDefault(destination))) return kept;
  const gateway = fixed ?? ip.gateway ?? toldGateway(ip.address, told);
  if (gateway !== undefined) kept.push({ destination: { ip: { family, value: 0n }, bits: 0 }, gateway, device });
  return kept;
}

/** The gateway of the result's default route; without one, the only gateway in the address's subnet that any of its routes names. */
function toldGateway(address: Prefix, told: readonly ResultRoute[]): Ip | undefined {
  const named: Ip[] = [];
  for (const { dst, gw } of told) {
    if (gw === undefined || dst.ip.family !== address.ip.family) continue;
    if (isDefault(dst)) return gw;
    if (containsIp(address, gw) && !named.some((known) => equalIp(known, gw))) named.push(gw);
  }
  return named.length === 1 ? named[0] : undefined;
}

/**
 * The result's routes with the table that each has gone to, once for each such table; those that were not moved are left as they are.
 * `tables` are the plan's, by their numbers.
 */
export function tellTables(
  told: readonly ResultRoute[],
  tables: ReadonlyMap<number, readonly RouteSpec[]>,
): ResultRoute[] {
  const all: ResultRoute[] = [];
  for (const route of told) {
    const isElsewhere = (route.table ?? 0) !== 0 && route.table !== RT_TABLE_MAIN;
    const moved = isElsewhere ? [] : [...tables].filter(([, specs]) => specs.some((spec) => isSame(route, spec)));
    if (moved.length === 0) all.push(route);
    for (const [table] of moved) all.push({ ...route, table });
  }
  return all;
}

function isSame({ dst, gw, priority = 0 }: ResultRoute, spec: RouteSpec): boolean {
  if (!equalPrefix(networkOf(dst), spec.destination)) return false;
  if (priority !== 0 && priority !== spec.metric) return false;
  return gw === undefined || gatewaysOf(spec).some((gateway) => equalIp(gateway, gw));
}

function isSubnetOf({ destination }: RouteSpec, address: Prefix): boolean {
  return address.bits < widthOf(address.ip.family) && equalPrefix(destination, networkOf(address));
}

function hasGateway(route: Route): boolean {
  return gatewaysOf(route).length > 0 || (familyOf(route) === 4 && route.scope < RT_SCOPE_LINK);
}

/** All gateways of a route, none for one that goes straight out of the interface. */
export function gatewaysOf({ gateway, nextHops }: RouteSpec): Ip[] {
  const gateways = gateway === undefined ? [] : [gateway];
  for (const hop of nextHops ?? []) if (hop.gateway !== undefined) gateways.push(hop.gateway);
  return gateways;
}

function familyOf({ destination }: RouteSpec): 4 | 6 {
  return destination.ip.family;
}
