import type { Logger } from "../../log/logger.ts";
import { malformed } from "../../netlink/error.ts";
import type { NetlinkRequest } from "../../netlink/message.ts";
import type { Outcome } from "../../netlink/socket.ts";
import { sleep } from "../../libc/process.ts";
import type { Netns } from "../../netns/netns.ts";
import { setBridgePort } from "../../rtnl/bridge-port.ts";
import { decodeLink, type Link, queryLink } from "../../rtnl/link.ts";
import { setLink } from "../../rtnl/link-change.ts";
import { type Cures, explain, explained } from "../common/explain.ts";
import { noVlanFilter } from "./host-bridge.ts";
import { vlanRequests, type VlanWish } from "./port-vlans.ts";

/** How long a port may take to come up before that is worth a line; the kernel needs a fraction of a millisecond. */
const portTimeoutMs = 500;
const firstPollMs = 1;

/** What the node's end of a veth pair is to be as a port of the bridge. */
export interface PortSettings extends VlanWish {
  readonly hairpin: boolean;
  readonly portIsolation: boolean;
  /** IFLA_IFALIAS; undefined for none. */
  readonly alias: string | undefined;
}

/** A link by its index; the name is for messages. */
export interface Target {
  readonly index: number;
  readonly name: string;
}

export interface PortAndBridge {
  readonly port: Link;
  readonly bridge: Link;
}

interface Step {
  readonly request: NetlinkRequest;
  readonly operation: string;
}

/** Makes a device a port of the bridge and brings it up, in one send. Throws `CniError`; what was done until then goes with the device. */
export function attachPort(host: Netns, bridge: Link, device: Target, settings: PortSettings): void {
  const { hairpin, portIsolation: isolated, alias } = settings;
  const quoted = JSON.stringify(device.name);
  const vlanDefault = bridge.data?.kind === "bridge" ? bridge.data.vlanDefaultPvid : undefined;
  const steps: Step[] = [
    {
      request: setLink(device, { master: bridge.index, up: true, alias }),
      operation: `failed to connect ${quoted} to bridge ${bridge.name}`,
    },
    {
      request: setBridgePort(device, { hairpin, isolated }),
      operation: `failed to setup hairpin mode for ${device.name}`,
    },
  ];
  for (const request of vlanRequests(device, settings, vlanDefault))
    steps.push({ request, operation: `failed to setup vlan tag on interface ${quoted}` });
  const requests: NetlinkRequest[] = [];
  for (const { request } of steps) requests.push(request);
  const errors = host.rtnl.batch(requests);
  for (const [position, { operation }] of steps.entries()) {
    const error = errors[position];
    if (error !== undefined) throw explain(operation, error, cures(bridge));
  }
}

/**
 * Port and bridge as they are once the port is up: both ends of the pair are, and the kernel tells the bridge a moment later. A port that
 * is late is logged and given back as it is, for it comes up by itself.
 */
export function awaitPort(host: Netns, port: Target, bridge: Target, log: Logger): PortAndBridge {
  const deadline = performance.now() + portTimeoutMs;
  for (let pauseMs = firstPollMs; ; pauseMs *= 2) {
    const found = readPort(host, port, bridge);
    const { name, operState } = found.port;
    if (operState === "up") return found;
    if (performance.now() > deadline) {
      log.error(`bridge port ${name} is ${operState} ${portTimeoutMs} ms after both its ends were brought up`);
      return found;
    }
    sleep(pauseMs);
  }
}

/** Port and bridge as they are, in one send. Throws `CniError` when one is gone. */
export function readPort(host: Netns, port: Target, bridge: Target): PortAndBridge {
  const [first, second] = host.rtnl.exchange([queryLink(port), queryLink(bridge)]);
  return { port: linkOf(port, first), bridge: linkOf(bridge, second) };
}

function linkOf({ name }: Target, outcome: Outcome | undefined): Link {
  return explained(`failed to lookup ${JSON.stringify(name)}`, () => {
    if (outcome?.error !== undefined) throw outcome.error;
    const [reply] = outcome?.replies ?? [];
    if (reply === undefined) throw malformed(`get link ${name}`, "the kernel acknowledged without a reply");
    return decodeLink(reply, `get link ${name}`);
  });
}

function cures({ name }: Link): Cures {
  return {
    EXFULL: `bridge ${name} has as many ports as the kernel allows (1023); give some of the node's pods another bridge`,
    EOPNOTSUPP: noVlanFilter,
    EINVAL: `bridge ${name} is gone since it was looked up`,
  };
}
