import { CniError, code } from "../../cni/error.ts";
import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import { createLink, getLink, type Link, requireLink } from "../../rtnl/link.ts";
import { type LinkChange, setLink } from "../../rtnl/link-change.ts";
import { type Cures, errnoOf, explain } from "../common/explain.ts";
import { randomMac } from "../common/veth.ts";
import type { BridgeConfig } from "./config.ts";

/**
 * The bridge of that name on the node, up, made when it is missing; it stays when ADD fails or the last pod leaves, as upstream's does. A
 * new one has a MAC of its own, since otherwise the kernel takes that of a port and changes it as pods come and go, and an MTU that
 * counts as set, since otherwise it falls back to 1500 with the last port. Of one that is there, promiscuous mode is switched on where
 * it is asked for, and a smaller MTU is raised. Throws `CniError`, with upstream's text for a device that is no bridge.
 */
export function ensureBridge(host: Netns, config: BridgeConfig, log: Logger): Link {
  try {
    const found = getLink(host.rtnl, config.bridge);
    const made = found === undefined ? create(host, config) : undefined;
    const link = found ?? made ?? requireLink(host.rtnl, config.bridge);
    if (link.data?.kind !== "bridge") throw notBridge(link);
    if (config.filtersVlans && link.data.vlanFiltering !== true) {
      log.error(
        `bridge ${link.name} does not filter VLANs, so they do not keep pods apart: ip link set ${link.name} type bridge vlan_filtering 1`,
      );
    }
    settle(host, link, config, made !== undefined);
    return link;
  } catch (error) {
    throw explain(`failed to create bridge ${JSON.stringify(config.bridge)}`, error, cures(config));
  }
}

/** Undefined when another call has made it at the same moment: then that one's counts. */
function create(host: Netns, { bridge, filtersVlans }: BridgeConfig): Link | undefined {
  try {
    return createLink(host.rtnl, {
      name: bridge,
      mac: randomMac(),
      data: { kind: "bridge", vlanFiltering: filtersVlans ? true : undefined },
    });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
    return undefined;
  }
}

/** One request, and none when nothing is to change, as for all pods but the first. */
function settle(host: Netns, link: Link, { promisc, mtu }: BridgeConfig, isNew: boolean): void {
  // Only an MTU that differs counts as set by somebody, and so only when it is not given at the birth already.
  const isOther = mtu !== 0 && (isNew ? link.mtu !== mtu : link.mtu < mtu);
  const change: LinkChange = {
    up: link.up ? undefined : true,
    promisc: promisc && !link.promisc ? true : undefined,
    mtu: isOther ? mtu : undefined,
  };
  if ((change.up ?? change.promisc ?? change.mtu) !== undefined) host.rtnl.run(setLink(link, change));
}

/** What a refusal of anything to do with VLANs means. */
export const noVlanFilter = "this kernel's bridge can't filter VLANs (CONFIG_BRIDGE_VLAN_FILTERING)";

/** The error of a device that has the bridge's name and is none. */
export function notBridge({ name, kind }: Link): CniError {
  return new CniError(
    code.internal,
    `failed to create bridge ${JSON.stringify(name)}: ${JSON.stringify(name)} already exists but is not a bridge: it is ${kind === "" ? "a device of its own" : `of kind ${kind}`}; name another in "bridge"`,
  );
}

function cures({ mtu, filtersVlans }: BridgeConfig): Cures {
  return {
    EOPNOTSUPP: filtersVlans ? noVlanFilter : "this kernel has no bridges; try `modprobe bridge` on the node",
    EINVAL: mtu === 0 ? "the kernel does not know one of its settings" : `a bridge can't have an MTU of ${mtu}`,
  };
}
