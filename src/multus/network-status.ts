import { formatIp } from "../ip/address.ts";
import { isDefault } from "../ip/prefix.ts";
import type { JsonObject } from "../json/value.ts";
import { stringify } from "../json/stringify.ts";
import type { Dns, Result, ResultIp, ResultRoute } from "../cni/result.ts";

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
  const gateways = result.routes.flatMap((route) => gatewayOf(route, result));
  const common = {
    dns: result.dns,
    ...(deviceInfo === undefined ? {} : { "device-info": deviceInfo }),
    ...(gateways.length > 0 ? { gateway: gateways } : {}),
  };
  const inPod = result.interfaces.flatMap((entry, index) => (entry.sandbox ? [{ entry, index }] : []));
  const single = result.interfaces.length <= 1;
  if (inPod.length === 0) {
    return single ? [element(name, {}, result.ips, isDefaultNetwork, common)] : [];
  }
  const defaultIndex = result.ips.find((ip) => ip.gateway !== undefined && ip.interface !== undefined)?.interface;
  const chosen = inPod.some(({ index }) => index === defaultIndex) ? defaultIndex : inPod[0]?.index;
  return inPod.map(({ entry, index }, position) => {
    const isLast = position === inPod.length - 1;
    const ips = single
      ? result.ips
      : result.ips.filter((ip) => ip.interface === index || (isLast && ip.interface === undefined));
    const link = {
      interface: entry.name,
      ...(entry.mac ? { mac: entry.mac } : {}),
      ...(entry.mtu ? { mtu: entry.mtu } : {}),
    };
    return element(name, link, ips, isDefaultNetwork && index === chosen, common);
  });
}

/** Of a default route; one that names none goes through the gateway of an address of its family (CNI specification, "Result"). */
function gatewayOf({ dst, gw }: ResultRoute, { ips }: Result): string[] {
  if (!isDefault(dst)) return [];
  const gateway = gw ?? ips.find((ip) => ip.gateway !== undefined && ip.address.ip.family === dst.ip.family)?.gateway;
  return gateway === undefined ? [] : [formatIp(gateway)];
}

function element(
  name: string,
  link: Pick<NetworkStatus, "interface" | "mac" | "mtu">,
  ips: readonly ResultIp[],
  isDefaultInterface: boolean,
  common: Pick<NetworkStatus, "dns" | "device-info" | "gateway">,
): NetworkStatus {
  return {
    name,
    ...(link.interface === undefined ? {} : { interface: link.interface }),
    ...(ips.length > 0 ? { ips: ips.map((ip) => formatIp(ip.address.ip)) } : {}),
    ...(link.mac === undefined ? {} : { mac: link.mac }),
    ...(link.mtu === undefined ? {} : { mtu: link.mtu }),
    ...(isDefaultInterface ? { default: true as const } : {}),
    // Last in this order, as Multus has them.
    ...common,
  };
}

/** The annotation's value, byte for byte in Multus' layout: the elements indented by four spaces, joined by a bare comma. */
export function formatNetworkStatus(statuses: readonly NetworkStatus[]): string {
  return `[${statuses.map((status) => stringify(status as unknown as JsonObject, { indent: 4 })).join(",")}]`;
}
