import type { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import { hostOrder } from "../netlink/constants.ts";
import { isNetlinkError } from "../netlink/error.ts";
import { type NetlinkMessage, type NetlinkRequest, request } from "../netlink/message.ts";
import { openBody } from "./body.ts";
import { type BridgePort, decodeBridgePort } from "./bridge-port.ts";
import {
  IFF_ALLMULTI,
  IFF_LOOPBACK,
  IFF_NOARP,
  IFF_PROMISC,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_ALLMULTI,
  IFLA_BROADCAST,
  IFLA_CARRIER,
  IFLA_EXT_MASK,
  IFLA_GROUP,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_INFO_SLAVE_DATA,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINK,
  IFLA_LINK_NETNSID,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MAX_MTU,
  IFLA_MIN_MTU,
  IFLA_MTU,
  IFLA_OPERSTATE,
  IFLA_PROMISCUITY,
  IFLA_TXQLEN,
  RTEXT_FILTER_SKIP_STATS,
  RTM_GETLINK,
} from "./constants.ts";
import { ifinfomsgBytes } from "./device-settings.ts";
import { decodeData, type LinkData } from "./kinds/table.ts";
import { addLink, describeLink, encodeTarget, type LinkSpec, type LinkTarget } from "./link-change.ts";
import type { Rtnl } from "./rtnl.ts";
import type { Writable } from "./writable.ts";

/** RFC 2863 operational states by IF_OPER_* (include/uapi/linux/if.h). */
const operStates = ["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"] as const;

export type OperState = (typeof operStates)[number];

/** A network device as the kernel described it; what it did not say is undefined. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** The kernel's name of the kind ("veth"); "" for a device without one (hardware, loopback). */
  readonly kind: string;
  /** ARPHRD_* */
  readonly hardwareType: number;
  /** IFF_* */
  readonly flags: number;
  readonly up: boolean;
  readonly loopback: boolean;
  readonly noarp: boolean;
  /** Set by an administrator; `promiscuity` counts those who want it, bridges included. */
  readonly promisc: boolean;
  readonly allmulti: boolean;
  readonly promiscuity: number | undefined;
  readonly allmultiCount: number | undefined;
  readonly mtu: number;
  readonly minMtu: number | undefined;
  /** 0 where the driver knows no limit. */
  readonly maxMtu: number | undefined;
  readonly mac: Uint8Array;
  readonly broadcast: Uint8Array;
  readonly operState: OperState;
  readonly carrier: boolean | undefined;
  readonly txQueueLength: number | undefined;
  readonly group: number | undefined;
  readonly alias: string | undefined;
  /** Index of the bridge (vrf, …) it belongs to. */
  readonly master: number | undefined;
  /** IFLA_LINK: index of the device it stands on, or of a veth's peer; in the namespace `parentNetnsId` when that is told. */
  readonly parent: number | undefined;
  readonly parentNetnsId: number | undefined;
  /** What is particular to the kind; undefined for a kind that has no entry in kinds/table.ts. */
  readonly data: LinkData | undefined;
  /** Its settings as the port of a bridge; undefined when it is none. */
  readonly port: BridgePort | undefined;
}

/** Which links a list is wanted of; undefined means any. */
export interface LinkFilter {
  readonly master?: number | undefined;
  readonly group?: number | undefined;
}

/** One link, by one message; undefined when there is none of that name or index. */
export function getLink(rtnl: Rtnl, target: LinkTarget): Link | undefined {
  const query = queryLink(target);
  try {
    return decodeLink(rtnl.get(query), query.label);
  } catch (error) {
    if (isNetlinkError(error, "ENODEV")) return undefined;
    throw error;
  }
}

/** As `getLink`, where a missing link is an error: NetlinkError ENODEV "get link net1: no such device". */
export function requireLink(rtnl: Rtnl, target: LinkTarget): Link {
  const query = queryLink(target);
  return decodeLink(rtnl.get(query), query.label);
}

/** All links in the order of their indexes, by a dump. */
export function listLinks(rtnl: Rtnl, filter: LinkFilter = {}): Link[] {
  const query = request("list links", RTM_GETLINK, 0, (body) => {
    body.struct(ifinfomsgBytes);
    body.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    if (filter.master !== undefined) body.u32(IFLA_MASTER, filter.master);
  });
  return rtnl
    .dump(query)
    .map((message) => decodeLink(message, query.label))
    .filter(({ master, group }) => matches(filter.master, master) && matches(filter.group, group));
}

/** Makes a link in the namespace of `rtnl` (no `netnsFd`) and reads it back, in one send. Throws what `addLink` can fail with. */
export function createLink(rtnl: Rtnl, spec: LinkSpec): Link {
  const query = queryLink(spec.name);
  const [made, read] = rtnl.exchange([addLink(spec), query]);
  const error = made?.error ?? read?.error;
  if (error !== undefined) throw error;
  const [reply] = read?.replies ?? [];
  return reply === undefined ? requireLink(rtnl, spec.name) : decodeLink(reply, query.label);
}

/** The request behind `getLink`, for a batch. */
export function queryLink(target: LinkTarget): NetlinkRequest {
  return request(`get link ${describeLink(target)}`, RTM_GETLINK, 0, (body) => {
    encodeTarget(target, body);
    // Statistics would be most of the answer.
    body.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  });
}

/** Reads RTM_NEWLINK; `operation` is what an EBADMSG says failed. */
export function decodeLink(message: NetlinkMessage, operation: string): Link {
  const { header, attributes } = openBody(message, ifinfomsgBytes, operation);
  const flags = header.getUint32(8, hostOrder);
  const link: Writable<Link> = {
    index: header.getInt32(4, hostOrder),
    name: "",
    kind: "",
    hardwareType: header.getUint16(2, hostOrder),
    flags,
    up: (flags & IFF_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    noarp: (flags & IFF_NOARP) !== 0,
    promisc: (flags & IFF_PROMISC) !== 0,
    allmulti: (flags & IFF_ALLMULTI) !== 0,
    promiscuity: undefined,
    allmultiCount: undefined,
    mtu: 0,
    minMtu: undefined,
    maxMtu: undefined,
    mac: new Uint8Array(0),
    broadcast: new Uint8Array(0),
    operState: "unknown",
    carrier: undefined,
    txQueueLength: undefined,
    group: undefined,
    alias: undefined,
    master: undefined,
    parent: undefined,
    parentNetnsId: undefined,
    data: undefined,
    port: undefined,
  };
  while (attributes.next()) readAttribute(link, attributes);
  attributes.finish(operation);
  return link;
}

function readAttribute(link: Writable<Link>, attribute: AttributeDecoder): void {
  switch (attribute.type) {
    case IFLA_IFNAME:
      link.name = attribute.text();
      break;
    case IFLA_MTU:
      link.mtu = attribute.u32();
      break;
    case IFLA_MIN_MTU:
      link.minMtu = attribute.u32();
      break;
    case IFLA_MAX_MTU:
      link.maxMtu = attribute.u32();
      break;
    case IFLA_ADDRESS:
      link.mac = attribute.bytes().slice();
      break;
    case IFLA_BROADCAST:
      link.broadcast = attribute.bytes().slice();
      break;
    case IFLA_OPERSTATE:
      link.operState = operStates[attribute.u8()] ?? "unknown";
      break;
    case IFLA_CARRIER:
      link.carrier = attribute.u8() !== 0;
      break;
    case IFLA_PROMISCUITY:
      link.promiscuity = attribute.u32();
      break;
    case IFLA_ALLMULTI:
      link.allmultiCount = attribute.u32();
      break;
    case IFLA_TXQLEN:
      link.txQueueLength = attribute.u32();
      break;
    case IFLA_GROUP:
      link.group = attribute.u32();
      break;
    case IFLA_IFALIAS:
      link.alias = attribute.text();
      break;
    case IFLA_MASTER:
      link.master = attribute.u32();
      break;
    case IFLA_LINK:
      link.parent = attribute.u32();
      break;
    case IFLA_LINK_NETNSID:
      link.parentNetnsId = attribute.i32();
      break;
    case IFLA_LINKINFO:
      readInfo(link, attribute.nested());
      break;
  }
}

/** The kernel sends each kind in front of its data (rtnl_link_fill() in net/core/rtnetlink.c). */
function readInfo(link: Writable<Link>, info: AttributeDecoder): void {
  let portOf = "";
  while (info.next()) {
    if (info.type === IFLA_INFO_KIND) link.kind = info.text();
    else if (info.type === IFLA_INFO_DATA) link.data = decodeData(link.kind, info.nested());
    else if (info.type === IFLA_INFO_SLAVE_KIND) portOf = info.text();
    else if (info.type === IFLA_INFO_SLAVE_DATA && portOf === "bridge") link.port = decodeBridgePort(info.nested());
  }
  // A veth has no data of its own to send.
  link.data ??= decodeData(link.kind, info);
}

function matches<T>(wanted: T | undefined, found: T | undefined): boolean {
  return wanted === undefined || wanted === found;
}
