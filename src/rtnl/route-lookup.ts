import { formatIp, type Ip, ipToBytes, widthOf } from "../ip/address.ts";
import { isNetlinkError } from "../netlink/error.ts";
import { type NetlinkRequest, request } from "../netlink/message.ts";
import { addressFamily } from "./body.ts";
import { RTA_DST, RTM_GETROUTE } from "./constants.ts";
import { decodeRoute, type Route } from "./route.ts";
import type { Rtnl } from "./rtnl.ts";

/** sizeof(struct rtmsg) */
const rtmsgBytes = 12;

/**
 * The route that a packet of this namespace to `ip` would take, as `ip route get` shows it; its destination is the address alone. Undefined
 * when there is none, or one that refuses it.
 */
export function lookUpRoute(rtnl: Rtnl, ip: Ip): Route | undefined {
  const query = routeQuery(ip);
  try {
    return decodeRoute(rtnl.get(query), query.label);
  } catch (error) {
    if (isNetlinkError(error, "ENETUNREACH", "EHOSTUNREACH", "EACCES", "EINVAL")) return undefined;
    throw error;
  }
}

/** Asks which way a packet would take. */
export function routeQuery(ip: Ip): NetlinkRequest {
  return request(`look up the route to ${formatIp(ip)}`, RTM_GETROUTE, 0, (body) => {
    const header = body.struct(rtmsgBytes);
    header.setUint8(0, addressFamily(ip.family));
    header.setUint8(1, widthOf(ip.family));
    body.bytes(RTA_DST, ipToBytes(ip));
  });
}
