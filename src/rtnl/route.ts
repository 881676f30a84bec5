import { formatIp, type Ip, ipToBytes, widthOf } from "../ip/address.ts";
import { formatPrefix, isDefault, type Prefix } from "../ip/prefix.ts";
import type { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import { hostOrder, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../netlink/constants.ts";
import { isNetlinkError } from "../netlink/error.ts";
import { type NetlinkMessage, type NetlinkRequest, request } from "../netlink/message.ts";
import { addressFamily, ipFamily, openBody, readIp } from "./body.ts";
import {
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
  RT_TABLE_UNSPEC,
  RTA_DST,
  RTA_GATEWAY,
  RTA_METRICS,
  RTA_MULTIPATH,
  RTA_OIF,
  RTA_PREF,
  RTA_PREFSRC,
  RTA_PRIORITY,
  RTA_SRC,
  RTA_TABLE,
  RTA_VIA,
  RTM_DELROUTE,
  RTM_F_CLONED,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTN_UNICAST,
  RTN_UNSPEC,
  RTNH_F_ONLINK,
  RTPROT_BOOT,
  RTPROT_UNSPEC,
} from "./constants.ts";
import { type Device, describeDevice, indexOf } from "./device.ts";
import {
  decodeNextHops,
  encodeGateway,
  encodeNextHops,
  type FoundNextHop,
  type NextHop,
  readGateway,
} from "./next-hop.ts";
import { decodeMetrics, encodeMetrics, type RouteMetrics } from "./route-metrics.ts";
import type { Rtnl } from "./rtnl.ts";
import type { Writable } from "./writable.ts";

/** sizeof(struct rtmsg) */
const rtmsgBytes = 12;
/** rtm_table is a u8; a table above it travels in RTA_TABLE. */
const tableInHeaderMax = 255;

/**
 * A route to make or to delete; undefined is not sent. A `Route` that was listed can be put in as it is, unless it has what is
 * neither sent nor told here: encapsulation, realms, a nexthop object, an expiry.
 */
export interface RouteSpec {
  /** 0.0.0.0/0 or ::/0 for a default route; its family is the route's. Host bits have to be clear (EINVAL). */
  readonly destination: Prefix;
  readonly gateway?: Ip | undefined;
  readonly device?: Device | undefined;
  /** Several ways; then neither gateway nor device. */
  readonly nextHops?: readonly NextHop[] | undefined;
  /** The source address of what is sent over it without one (RTA_PREFSRC). */
  readonly source?: Ip | undefined;
  /** Family 6: only packets from here take it (RTA_SRC). */
  readonly from?: Prefix | undefined;
  /** Undefined is RT_TABLE_MAIN. */
  readonly table?: number | undefined;
  /** RTA_PRIORITY, smaller goes first; family 6 makes 1024 of 0 and of undefined. */
  readonly metric?: number | undefined;
  /** RT_SCOPE_*; undefined is link for a unicast route without gateway, else universe. Family 6 keeps none. */
  readonly scope?: number | undefined;
  /** RTPROT_*; undefined is RTPROT_BOOT. */
  readonly protocol?: number | undefined;
  /** RTN_*; undefined is RTN_UNICAST. */
  readonly type?: number | undefined;
  readonly tos?: number | undefined;
  /** The gateway counts as on the link even though no route of ours says so. */
  readonly onlink?: boolean | undefined;
  readonly metrics?: RouteMetrics | undefined;
  /** Family 6: router preference (RFC 4191) as the two bits on the wire. */
  readonly preference?: number | undefined;
}

/** A route as the kernel described it; what it did not say is undefined. */
export interface Route extends RouteSpec {
  readonly device: number | undefined;
  readonly nextHops: readonly FoundNextHop[] | undefined;
  readonly table: number;
  readonly scope: number;
  readonly protocol: number;
  readonly type: number;
  readonly tos: number;
  readonly onlink: boolean;
  readonly metrics: RouteMetrics;
  /** RTNH_F_* and RTM_F_* */
  readonly flags: number;
}

/** Which routes a list is wanted of; undefined means any, so all tables (local, too) and both families. */
export interface RouteFilter {
  readonly family?: 4 | 6 | undefined;
  readonly table?: number | undefined;
  readonly device?: Device | undefined;
  readonly protocol?: number | undefined;
  readonly type?: number | undefined;
}

/** Adds a route. EEXIST when family, destination, table, metric (and tos) are taken, whatever the way. */
export function addRoute(spec: RouteSpec): NetlinkRequest {
  return routeRequest("add", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, withDefaults(spec));
}

/** Adds a route in place of the first one with the same destination, table and metric, if there is one. */
export function replaceRoute(spec: RouteSpec): NetlinkRequest {
  return routeRequest("replace", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, withDefaults(spec));
}

/** Adds a route behind those with the same destination, table and metric: family 6 makes one multipath route of them. */
export function appendRoute(spec: RouteSpec): NetlinkRequest {
  return routeRequest("append", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, withDefaults(spec));
}

/**
 * Adds a route as `ip route prepend` and Go's RouteAdd do, with NLM_F_CREATE alone: EEXIST only for one that is the same in all,
 * else family 4 puts it in front of those with the same destination and metric, family 6 makes one multipath route of them.
 */
export function prependRoute(spec: RouteSpec): NetlinkRequest {
  return routeRequest("add", RTM_NEWROUTE, NLM_F_CREATE, withDefaults(spec));
}

/** Deletes the first route that has all that is given; ESRCH when there is none. */
export function deleteRoute(spec: RouteSpec): NetlinkRequest {
  const anything = { scope: RT_SCOPE_NOWHERE, protocol: RTPROT_UNSPEC, type: RTN_UNSPEC, table: RT_TABLE_MAIN };
  return routeRequest("delete", RTM_DELROUTE, 0, { ...spec, ...given(spec, anything) });
}

/** Routes in the kernel's order, family 4 first; none for a table that does not exist. Cached routes are left out. */
export function listRoutes(rtnl: Rtnl, filter: RouteFilter = {}): Route[] {
  const families = filter.family === undefined ? ([4, 6] as const) : [filter.family];
  return families.flatMap((family) => listFamily(rtnl, family, filter));
}

function listFamily(rtnl: Rtnl, family: 4 | 6, filter: RouteFilter): Route[] {
  const device = filter.device === undefined ? undefined : indexOf(filter.device);
  const query = request(`list IPv${family} routes`, RTM_GETROUTE, 0, (body) => {
    const header = body.struct(rtmsgBytes);
    header.setUint8(0, addressFamily(family));
    header.setUint8(5, filter.protocol ?? RTPROT_UNSPEC);
    header.setUint8(7, filter.type ?? RTN_UNSPEC);
    if (filter.table !== undefined) body.u32(RTA_TABLE, filter.table);
    if (device !== undefined) body.u32(RTA_OIF, device);
  });
  const messages = dumpTable(rtnl, query);
  // Kernels before 4.20 ignore the filter, hence once more here.
  return messages
    .map((message) => decodeRoute(message, query.label))
    .filter((route) => route !== undefined)
    .filter((route) => (route.flags & RTM_F_CLONED) === 0 && matches(route, filter, device));
}

function dumpTable(rtnl: Rtnl, query: NetlinkRequest): NetlinkMessage[] {
  try {
    return rtnl.dump(query);
  } catch (error) {
    // What family 4 says of a table that nothing was ever put into; the other says nothing.
    if (isNetlinkError(error, "ENOENT")) return [];
    throw error;
  }
}

function matches(route: Route, { table, protocol, type }: RouteFilter, device: number | undefined): boolean {
  if (table !== undefined && route.table !== table) return false;
  if (protocol !== undefined && route.protocol !== protocol) return false;
  if (type !== undefined && route.type !== type) return false;
  return device === undefined || route.device === device || (route.nextHops ?? []).some((hop) => hop.device === device);
}

type Complete = RouteSpec & {
  readonly scope: number;
  readonly protocol: number;
  readonly type: number;
  readonly table: number;
};

function withDefaults(spec: RouteSpec): Complete {
  const type = spec.type ?? RTN_UNICAST;
  const isDirect = spec.gateway === undefined && spec.nextHops === undefined && type === RTN_UNICAST;
  const scope = isDirect ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  return { ...spec, ...given(spec, { scope, protocol: RTPROT_BOOT, type, table: RT_TABLE_MAIN }) };
}

/** The fallbacks, each replaced by what the spec says. */
function given(
  { scope, protocol, type, table }: RouteSpec,
  fallback: { readonly scope: number; readonly protocol: number; readonly type: number; readonly table: number },
): { scope: number; protocol: number; type: number; table: number } {
  return {
    scope: scope ?? fallback.scope,
    protocol: protocol ?? fallback.protocol,
    type: type ?? fallback.type,
    table: table ?? fallback.table,
  };
}

function routeRequest(verb: string, messageType: number, flags: number, spec: Complete): NetlinkRequest {
  return request(`${verb} ${describeRoute(spec)}`, messageType, flags, (body) => {
    const { destination, gateway, nextHops, source, from, table } = spec;
    const { family } = destination.ip;
    // struct rtmsg: u8 rtm_family, rtm_dst_len, rtm_src_len, rtm_tos, rtm_table, rtm_protocol, rtm_scope, rtm_type, u32 rtm_flags
    const header = body.struct(rtmsgBytes);
    header.setUint8(0, addressFamily(family));
    header.setUint8(1, destination.bits);
    header.setUint8(2, from?.bits ?? 0);
    header.setUint8(3, spec.tos ?? 0);
    header.setUint8(4, table > tableInHeaderMax ? RT_TABLE_UNSPEC : table);
    header.setUint8(5, spec.protocol);
    header.setUint8(6, spec.scope);
    header.setUint8(7, spec.type);
    header.setUint32(8, spec.onlink === true ? RTNH_F_ONLINK : 0, hostOrder);
    if (table > tableInHeaderMax) body.u32(RTA_TABLE, table);
    if (!isDefault(destination)) body.bytes(RTA_DST, ipToBytes(destination.ip));
    if (from !== undefined) body.bytes(RTA_SRC, ipToBytes(from.ip));
    if (spec.device !== undefined) body.u32(RTA_OIF, indexOf(spec.device));
    if (gateway !== undefined) encodeGateway(gateway, family, body);
    if (source !== undefined) body.bytes(RTA_PREFSRC, ipToBytes(source));
    if (spec.metric !== undefined) body.u32(RTA_PRIORITY, spec.metric);
    if (spec.preference !== undefined) body.u8(RTA_PREF, spec.preference);
    if (spec.metrics !== undefined) encodeMetrics(spec.metrics, body);
    if (nextHops !== undefined) encodeNextHops(nextHops, family, body);
  });
}

/** In the words of ip-route(8): "route 10.0.0.0/8 via 10.1.2.1 dev net1 metric 5 table 100". */
export function describeRoute(spec: RouteSpec): string {
  const words = [
    `route ${isDefault(spec.destination) ? `default (IPv${spec.destination.ip.family})` : formatPrefix(spec.destination)}`,
  ];
  for (const hop of [spec, ...(spec.nextHops ?? [])]) {
    if (hop.gateway !== undefined) words.push(`via ${formatIp(hop.gateway)}`);
    if (hop.device !== undefined) words.push(`dev ${describeDevice(hop.device)}`);
  }
  if (spec.metric !== undefined) words.push(`metric ${spec.metric}`);
  if (spec.table !== undefined && spec.table !== RT_TABLE_MAIN) words.push(`table ${spec.table}`);
  return words.join(" ");
}

/** Reads RTM_NEWROUTE; undefined for a family that is not IP. `operation` is what an EBADMSG says failed. */
export function decodeRoute(message: NetlinkMessage, operation: string): Route | undefined {
  const { header, attributes } = openBody(message, rtmsgBytes, operation);
  const family = ipFamily(header.getUint8(0));
  if (family === undefined) return undefined;
  const flags = header.getUint32(8, hostOrder);
  const route: Writable<Route> = {
    destination: { ip: { family, value: 0n }, bits: Math.min(header.getUint8(1), widthOf(family)) },
    gateway: undefined,
    device: undefined,
    nextHops: undefined,
    source: undefined,
    from: undefined,
    table: header.getUint8(4),
    metric: undefined,
    scope: header.getUint8(6),
    protocol: header.getUint8(5),
    type: header.getUint8(7),
    tos: header.getUint8(3),
    onlink: (flags & RTNH_F_ONLINK) !== 0,
    metrics: {},
    preference: undefined,
    flags,
  };
  while (attributes.next()) readAttribute(route, attributes, header.getUint8(2));
  attributes.finish(operation);
  return route;
}

function readAttribute(route: Writable<Route>, attribute: AttributeDecoder, sourceBits: number): void {
  switch (attribute.type) {
    case RTA_DST: {
      const ip = readIp(attribute);
      if (ip !== undefined) route.destination = { ip, bits: route.destination.bits };
      break;
    }
    case RTA_SRC: {
      const ip = readIp(attribute);
      if (ip !== undefined) route.from = { ip, bits: sourceBits };
      break;
    }
    case RTA_GATEWAY:
    case RTA_VIA:
      route.gateway = readGateway(attribute);
      break;
    case RTA_OIF:
      route.device = attribute.u32();
      break;
    case RTA_PREFSRC:
      route.source = readIp(attribute);
      break;
    case RTA_PRIORITY:
      route.metric = attribute.u32();
      break;
    case RTA_TABLE:
      route.table = attribute.u32();
      break;
    case RTA_PREF:
      route.preference = attribute.u8();
      break;
    case RTA_METRICS:
      route.metrics = decodeMetrics(attribute.nested());
      break;
    case RTA_MULTIPATH:
      route.nextHops = decodeNextHops(attribute.bytes());
      break;
  }
}
