import { CniError, code } from "../../cni/error.ts";
import type { Result, ResultIp, ResultRoute } from "../../cni/result.ts";
import { addIp, type Ip } from "../../ip/address.ts";
import { formatPrefix, isAmong, isDefault, networkOf, type Prefix } from "../../ip/prefix.ts";
import { RT_TABLE_MAIN } from "../../rtnl/constants.ts";
import type { BridgeConfig } from "./config.ts";

/** What the IPAM plugin gave, completed by what a gateway on the bridge adds to it. */
export interface Addressing {
  /** All of them are of the pod's interface. */
  readonly ips: readonly ResultIp[];
  readonly routes: readonly ResultRoute[];
  /** What the node has to have: each gateway with the prefix length of its network, IPv4 first; none unless the node is the gateway. */
  readonly gateways: readonly Prefix[];
}

/** Where a bridge's result has the pod's interface. */
export const podInterface = 2;

/**
 * Completes an IPAM result: as gateway, an address without one gets the first address of its network; as default gateway, a family
 * whose routes have no default route with a gateway gets one over its first address's. A plain default route without gateway
 * means that very route, and gets the gateway. Throws `CniError` for a network that has no room for a gateway.
 */
export function completeAddressing(
  { ips: given, routes }: Pick<Result, "ips" | "routes">,
  { isGateway, isDefaultGateway }: Pick<BridgeConfig, "isGateway" | "isDefaultGateway">,
): Addressing {
  const ips: ResultIp[] = [];
  for (const { address, gateway: own } of given) {
    const gateway = own ?? (isGateway ? firstIp(address) : undefined);
    ips.push({ address, interface: podInterface, ...(gateway !== undefined && { gateway }) });
  }
  return {
    ips,
    routes: isDefaultGateway ? withDefaultRoutes(routes, ips) : routes,
    gateways: isGateway ? gatewaysOf(ips) : [],
  };
}

function firstIp(address: Prefix): Ip {
  const ip = addIp(networkOf(address).ip, 1n);
  if (ip !== undefined) return ip;
  throw new CniError(
    code.internal,
    `${formatPrefix(address)} has no room for a gateway; have the IPAM plugin name one`,
  );
}

function withDefaultRoutes(routes: readonly ResultRoute[], ips: readonly ResultIp[]): ResultRoute[] {
  const all = [...routes];
  // In the order of the addresses, as upstream appends them.
  for (const family of new Set(ips.map(({ address }) => address.ip.family))) {
    const gw = ips.find(({ address }) => address.ip.family === family)?.gateway;
    const ofFamily = (route: ResultRoute) => isDefault(route.dst) && route.dst.ip.family === family;
    if (gw === undefined || all.some((route) => ofFamily(route) && route.gw !== undefined)) continue;
    const bare = all.findIndex((route) => ofFamily(route) && isPlain(route));
    const found = all[bare];
    if (found === undefined) all.push({ dst: { ip: { family, value: 0n }, bits: 0 }, gw });
    else all[bare] = { ...found, gw };
  }
  return all;
}

/** It would be the same route in the kernel as the one that the gateway adds. */
function isPlain({ priority = 0, table = 0, scope = 0 }: ResultRoute): boolean {
  return priority === 0 && scope === 0 && (table === 0 || table === RT_TABLE_MAIN);
}

/** Each gateway once, family 4 first. */
function gatewaysOf(ips: readonly ResultIp[]): Prefix[] {
  const distinct: Prefix[] = [];
  for (const family of [4, 6] as const) {
    for (const { address, gateway } of ips) {
      if (gateway?.family !== family) continue;
      const prefix = { ip: gateway, bits: address.bits };
      if (!isAmong(distinct, prefix)) distinct.push(prefix);
    }
  }
  return distinct;
}
