import { CniError, code } from "../../cni/error.ts";
import type { ResultIp, ResultRoute } from "../../cni/result.ts";
import { equalIp, formatIp, type Ip } from "../../ip/address.ts";
import { formatPrefix, hasHostBits, hostPrefix, networkOf } from "../../ip/prefix.ts";
import { RT_SCOPE_LINK } from "../../rtnl/constants.ts";
import type { Device } from "../../rtnl/device.ts";
import type { RouteSpec } from "../../rtnl/route.ts";

/**
 * The routes of a result as the kernel is to have them, in the order of their first mention; `ips` are the interface's addresses.
 *
 * - A route without `gw` goes over the first gateway of its family in `ips`, unless its scope says that the destination is on the link
 *   itself (link and narrower) or there is no such gateway: then it goes straight out of the device.
 * - Routes alike in all but the gateway become one multipath route; one that says nothing new is dropped.
 * - `priority`, `table`, `scope`, `mtu` and `advmss` are carried over; 0 means the kernel's default, as in rtnetlink(7).
 *
 * Throws `CniError` code 7 for an IPv4 destination with host bits: the kernel refuses it without saying why. It clears those of IPv6
 * itself, so they are cleared here.
 */
export function planRoutes(routes: readonly ResultRoute[], ips: readonly ResultIp[], device: Device): RouteSpec[] {
  const plans = new Map<string, { readonly spec: RouteSpec; readonly gateways: (Ip | undefined)[] }>();
  for (const route of routes) {
    const gateway = gatewayOf(route, ips);
    const spec = specOf(route);
    const key = keyOf(spec);
    const plan = plans.get(key) ?? { spec, gateways: [] };
    plans.set(key, plan);
    addGateway(plan.gateways, gateway);
  }
  const specs: RouteSpec[] = [];
  for (const { spec, gateways } of plans.values()) specs.push(withGateways(spec, gateways, device));
  return specs;
}

function addGateway(gateways: (Ip | undefined)[], gateway: Ip | undefined): void {
  for (const known of gateways) if (isSameGateway(known, gateway)) return;
  gateways.push(gateway);
}

/** The gateway that a route is to go over: its own, else the interface's first of that family; undefined for none. */
export function gatewayOf(route: ResultRoute, ips: readonly ResultIp[]): Ip | undefined {
  if (route.gw !== undefined) return route.gw;
  if ((route.scope ?? 0) >= RT_SCOPE_LINK) return undefined;
  for (const { gateway } of ips) if (gateway?.family === route.dst.ip.family) return gateway;
  return undefined;
}

function specOf({ dst, scope, table, priority, mtu, advmss }: ResultRoute): RouteSpec {
  if (dst.ip.family === 4 && hasHostBits(dst)) {
    throw new CniError(
      code.invalidConfig,
      `failed to add route '${formatPrefix(dst)}': the destination has host bits; write ${formatPrefix(networkOf(dst))} for the network or ${formatPrefix(hostPrefix(dst.ip))} for the host`,
    );
  }
  return {
    destination: networkOf(dst),
    scope,
    table: given(table),
    metric: given(priority),
    metrics: { mtu: given(mtu), advmss: given(advmss) },
  };
}

function given(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}

function keyOf({ destination, scope, table, metric, metrics }: RouteSpec): string {
  const { ip, bits } = destination;
  return [ip.family, ip.value, bits, scope, table, metric, metrics?.mtu, metrics?.advmss].join(" ");
}

function isSameGateway(a: Ip | undefined, b: Ip | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalIp(a, b);
}

function withGateways(spec: RouteSpec, gateways: readonly (Ip | undefined)[], device: Device): RouteSpec {
  const [gateway, ...others] = gateways;
  if (others.length === 0) return { ...spec, device, gateway };
  return { ...spec, nextHops: gateways.map((each) => ({ gateway: each, device })) };
}

/** A route in the words of upstream's error messages; runtimes match on their beginning. */
export function describePlan(spec: RouteSpec, ifName: string): string {
  const via = [spec.gateway, ...(spec.nextHops ?? []).map(({ gateway }) => gateway)]
    .filter((gateway) => gateway !== undefined)
    .map((gateway) => ` via ${formatIp(gateway)}`);
  const words = [`${formatPrefix(spec.destination)}${via.join("")} dev ${ifName}`];
  if (spec.metric !== undefined) words.push(`metric ${spec.metric}`);
  if (spec.scope !== undefined) words.push(`scope ${spec.scope}`);
  if (spec.table !== undefined) words.push(`table ${spec.table}`);
  return words.join(" ");
}
