import { formatIp } from "../ip/address.ts";
import { formatMac } from "../ip/mac.ts";
import { formatPrefix, isDefault } from "../ip/prefix.ts";
import { Netns } from "../netns/netns.ts";
import { listAddresses } from "../rtnl/address.ts";
import { RT_SCOPE_LINK } from "../rtnl/constants.ts";
import { listLinks } from "../rtnl/link.ts";
import { listRoutes, type Route } from "../rtnl/route.ts";

/** One interface of a pod as the kernel has it, and which network it belongs to. */
export interface InterfaceReport {
  readonly interface: string;
  /** "namespace/name" of a NetworkAttachmentDefinition, or the name of a CNI config; "" for an interface that no network made. */
  readonly network: string;
  /** Types in the order of the chain: "macvlan/host-local", "bridge/host-local+tuning". */
  readonly plugin: string;
  readonly addresses: readonly string[];
  readonly mac: string;
  readonly mtu: number;
  /** Where the interface's default routes go. */
  readonly gateways: readonly string[];
}

/** Which network made which interface. */
export interface NetworkOfInterface {
  readonly ifName: string;
  readonly network: string;
  readonly plugin: string;
}

/** Every interface of a namespace but loopback, in the order in which they were made; link-local addresses are left out. */
export function reportInterfaces(path: string, networks: readonly NetworkOfInterface[]): InterfaceReport[] {
  using netns = Netns.open(path);
  const addresses = listAddresses(netns.rtnl);
  const routes = listRoutes(netns.rtnl);
  return listLinks(netns.rtnl)
    .filter(({ loopback }) => !loopback)
    .map(({ index, name, mac, mtu }) => {
      const known = networks.find(({ ifName }) => ifName === name);
      return {
        interface: name,
        network: known?.network ?? "",
        plugin: known?.plugin ?? "",
        addresses: addresses
          .filter(({ device, scope }) => device === index && scope < RT_SCOPE_LINK)
          .map(({ prefix }) => formatPrefix(prefix)),
        mac: formatMac(mac),
        mtu,
        gateways: [...new Set(routes.filter(({ device }) => device === index).flatMap(gatewayOfDefault))],
      };
    });
}

function gatewayOfDefault({ destination, gateway }: Route): string[] {
  return gateway !== undefined && (destination === undefined || isDefault(destination)) ? [formatIp(gateway)] : [];
}
