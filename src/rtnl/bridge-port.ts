import type { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import { type NetlinkRequest, request } from "../netlink/message.ts";
import {
  IFLA_BRPORT_BCAST_FLOOD,
  IFLA_BRPORT_COST,
  IFLA_BRPORT_FAST_LEAVE,
  IFLA_BRPORT_GUARD,
  IFLA_BRPORT_ISOLATED,
  IFLA_BRPORT_LEARNING,
  IFLA_BRPORT_MCAST_FLOOD,
  IFLA_BRPORT_MODE,
  IFLA_BRPORT_NEIGH_SUPPRESS,
  IFLA_BRPORT_PRIORITY,
  IFLA_BRPORT_STATE,
  IFLA_BRPORT_UNICAST_FLOOD,
  IFLA_INFO_SLAVE_DATA,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINKINFO,
  RTM_NEWLINK,
} from "./constants.ts";
import { describeLink, encodeTarget, type LinkTarget } from "./link-change.ts";
import type { Writable } from "./writable.ts";

/** Settings of a bridge's port; undefined is not sent, or was not told. */
export interface BridgePort {
  /** IFLA_BRPORT_MODE: frames may go back out of the port they came in by. */
  readonly hairpin?: boolean | undefined;
  /** Isolated ports reach only those that are not. */
  readonly isolated?: boolean | undefined;
  readonly guard?: boolean | undefined;
  readonly fastLeave?: boolean | undefined;
  readonly learning?: boolean | undefined;
  readonly unicastFlood?: boolean | undefined;
  readonly multicastFlood?: boolean | undefined;
  readonly broadcastFlood?: boolean | undefined;
  readonly neighbourSuppression?: boolean | undefined;
  /** BR_STATE_*: 0 disabled, 3 forwarding. */
  readonly state?: number | undefined;
  readonly priority?: number | undefined;
  readonly cost?: number | undefined;
}

type Switch = Exclude<keyof BridgePort, "state" | "priority" | "cost">;

const switches: readonly [number, Switch][] = [
  [IFLA_BRPORT_MODE, "hairpin"],
  [IFLA_BRPORT_GUARD, "guard"],
  [IFLA_BRPORT_FAST_LEAVE, "fastLeave"],
  [IFLA_BRPORT_LEARNING, "learning"],
  [IFLA_BRPORT_UNICAST_FLOOD, "unicastFlood"],
  [IFLA_BRPORT_MCAST_FLOOD, "multicastFlood"],
  [IFLA_BRPORT_BCAST_FLOOD, "broadcastFlood"],
  [IFLA_BRPORT_NEIGH_SUPPRESS, "neighbourSuppression"],
  [IFLA_BRPORT_ISOLATED, "isolated"],
];
const switchNames = new Map(switches);

/** Changes a port of a bridge. It has to be one already (EINVAL, EOPNOTSUPP): joining is a request before this one. */
export function setBridgePort(target: LinkTarget, port: BridgePort): NetlinkRequest {
  return request(`set bridge port ${describeLink(target)}`, RTM_NEWLINK, 0, (body) => {
    encodeTarget(target, body);
    body.nested(IFLA_LINKINFO, (info) => {
      info.text(IFLA_INFO_SLAVE_KIND, "bridge");
      info.nested(IFLA_INFO_SLAVE_DATA, (data) => {
        if (port.state !== undefined) data.u8(IFLA_BRPORT_STATE, port.state);
        if (port.priority !== undefined) data.u16(IFLA_BRPORT_PRIORITY, port.priority);
        if (port.cost !== undefined) data.u32(IFLA_BRPORT_COST, port.cost);
        for (const [type, name] of switches) {
          const value = port[name];
          if (value !== undefined) data.u8(type, Number(value));
        }
      });
    });
  });
}

/** Reads the content of IFLA_INFO_SLAVE_DATA of a bridge's port. */
export function decodeBridgePort(attributes: AttributeDecoder): BridgePort {
  const port: Writable<BridgePort> = {};
  while (attributes.next()) {
    const name = switchNames.get(attributes.type);
    if (name !== undefined) port[name] = attributes.u8() !== 0;
    else if (attributes.type === IFLA_BRPORT_STATE) port.state = attributes.u8();
    else if (attributes.type === IFLA_BRPORT_PRIORITY) port.priority = attributes.u16();
    else if (attributes.type === IFLA_BRPORT_COST) port.cost = attributes.u32();
  }
  return port;
}
