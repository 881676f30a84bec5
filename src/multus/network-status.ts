import { formatIp } from "../ip/address.ts";
import { isDefault } from "../ip/prefix.ts";
import type { JsonObject } from "../json/value.ts";
import { stringify } from "../json/stringify.ts";
import type { Dns, Result, ResultInterface, ResultIp, ResultRoute } from "../cni/result.ts";

/** One interface of a pod as the annotation lists it; the order of the keys is the order in which Multus writes them. */
export interface NetworkStatus {
  readonly name: string;
  readonly interface?: string;
  readonly ips?: readonly string[];
  readonly mac?: string;
  readonly mtu?: number;
  readonly default?: true;
  readonly dns: Dns;
  readonly "device-info"?: JsonObject;
  readonly gateway?: readonly string[];
}

/**
 * The elements of one attachment: one for each interface in the pod (a plugin may report several), addresses assigned by their
 * interface index. With a single interface all addresses are its own; addresses without an index go to the last element. A result
 * without any interface (CNI 0.2.0) still gives the minimal element that the specification asks for. `deviceInfo` is what the
 * attachment's device-info file holds; it stands in each element.
 */
export function networkStatuses(
  name: string,
  isDefaultNetwork: boolean,
  result: Result,
  deviceInfo?: JsonObject,
): NetworkStatus[] {
  const { interfaces, ips, routes, dns } = result;
  const gateway: string[] = [];
  for (const route of routes) if (isDefault(route.dst)) gateway.push(...gatewayOf(route, ips));
  const common = {
    dns,
    ...(deviceInfo === undefined ? {} : { "device-info": deviceInfo }),
    ...(gateway.length > 0 ? { gateway } : {}),
  };
  const isSingle = interfaces.length <= 1;
  const inPod: number[] = [];
  for (const [index, { sandbox }] of interfaces.entries()) if (sandbox) inPod.push(index);
  if (inPod.length === 0) return isSingle ? [element(name, undefined, ips, isDefaultNetwork, common)] : [];
  const chosen = indexWithGateway(ips, inPod);
  const statuses: NetworkStatus[] = [];
  for (const index of inPod) {
    const own = isSingle ? ips : addressesOf(ips, index, index === inPod.at(-1));
    statuses.push(element(name, interfaces[index], own, isDefaultNetwork && index === chosen, common));
  }
  return statuses;
}

/** The pod's interface that the first address with a gateway belongs to; else the first one. */
function indexWithGateway(ips: readonly ResultIp[], inPod: readonly number[]): number | undefined {
  for (const { gateway, interface: index } of ips) {
    if (gateway !== undefined && index !== undefined) return inPod.includes(index) ? index : inPod[0];
  }
  return inPod[0];
}

function addressesOf(ips: readonly ResultIp[], index: number, isLast: boolean): ResultIp[] {
  const own: ResultIp[] = [];
  for (const ip of ips) if (ip.interface === index || (isLast && ip.interface === undefined)) own.push(ip);
  return own;
}

/** Of a default route; one that names none goes through the gateway of an address of its family (CNI specification, "Result"). */
function gatewayOf({ dst, gw }: ResultRoute, ips: readonly ResultIp[]): string[] {
  if (gw !== undefined) return [formatIp(gw)];
  for (const { address, gateway } of ips)
    if (gateway !== undefined && address.ip.family === dst.ip.family) return [formatIp(gateway)];
  return [];
}

function element(
  name: string,
  link: ResultInterface | undefined,
  addresses: readonly ResultIp[],
  isDefaultInterface: boolean,
  common: Pick<NetworkStatus, "dns" | "device-info" | "gateway">,
): NetworkStatus {
  const ips: string[] = [];
  for (const { address } of addresses) ips.push(formatIp(address.ip));
  return {
    name,
    ...(link === undefined ? {} : { interface: link.name }),
    ...(ips.length > 0 ? { ips } : {}),
    ...(link?.mac ? { mac: link.mac } : {}),
    ...(link?.mtu ? { mtu: link.mtu } : {}),
    ...(isDefaultInterface ? { default: true as const } : {}),
    // Last in this order, as Multus has them.
    ...common,
  };
}

/** The annotation's value, byte for byte in Multus' layout: the elements indented by four spaces, joined by a bare comma. */
export function formatNetworkStatus(statuses: readonly NetworkStatus[]): string {
  const elements: string[] = [];
  for (const status of statuses) elements.push(stringify(status, { indent: 4 }));
  return `[${elements.join(",")}]`;
}
