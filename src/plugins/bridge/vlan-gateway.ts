import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import { createLink, getLink, type Link } from "../../rtnl/link.ts";
import { deleteLink, setLink } from "../../rtnl/link-change.ts";
import { explain } from "../common/explain.ts";
import { withNetnsLock } from "../common/netns-lock.ts";
import { randomMac } from "../common/veth.ts";
import { type BridgeConfig, vlanGatewayName } from "./config.ts";
import { attachPort } from "./port.ts";
import { ignoreAdvertisements } from "./sysctls.ts";

/**
 * The device that stands for the gateway of a VLAN, made when it is missing: a veth `<bridge>.<vlan>` on the node whose other end is a
 * port of the bridge in that VLAN. Like the bridge it is for all pods, and stays. It is brought up last, so one that is up is complete;
 * one that is not, because a call was ended in the middle, is completed. Throws `CniError`.
 */
export function ensureVlanGateway(host: Netns, bridge: Link, config: BridgeConfig, log: Logger): Link {
  const name = vlanGatewayName(config);
  try {
    const link = getLink(host.rtnl, name);
    if (link?.up === true) return link;
    return withNetnsLock(host, () => makeOrComplete(host, bridge, config, name, log));
  } catch (error) {
    throw explain(`failed to create vlan interface: ${JSON.stringify(name)}`, error);
  }
}

function makeOrComplete(host: Netns, bridge: Link, config: BridgeConfig, name: string, log: Logger): Link {
  const link = getLink(host.rtnl, name);
  if (link !== undefined) return complete(host, bridge, config, link);
  const made = create(host, bridge, name, log);
  try {
    return complete(host, bridge, config, made);
  } catch (error) {
    host.rtnl.batch([deleteLink(made)]);
    throw error;
  }
}

function create(host: Netns, bridge: Link, name: string, log: Logger): Link {
  const mac = randomMac();
  const port = `veth${crypto.getRandomValues(new Uint8Array(4)).toHex()}`;
  const peer = { name: port, mtu: bridge.mtu, mac: randomMac(), txQueueLength: 0 };
  const link = createLink(host.rtnl, { name, mtu: bridge.mtu, mac, data: { kind: "veth", peer } });
  ignoreAdvertisements(host, [port], log);
  return link;
}

function complete(host: Netns, bridge: Link, { vlan, preserveDefaultVlan }: BridgeConfig, link: Link): Link {
  // A device of another kind is somebody's own way into the VLAN.
  if (link.kind === "veth" && link.parent !== undefined && link.parentNetnsId === undefined) {
    const port = { index: link.parent, name: `the port of ${link.name}` };
    const settings = { vlan, trunk: [], preserveDefaultVlan, hairpin: false, portIsolation: false, alias: undefined };
    attachPort(host, bridge, port, settings);
  }
  host.rtnl.run(setLink(link, { up: true }));
  return link;
}
