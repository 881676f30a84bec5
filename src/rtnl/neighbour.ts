import { formatIp, type Ip, ipToBytes } from "../ip/address.ts";
import { hostOrder, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../netlink/constants.ts";
import { type NetlinkMessage, type NetlinkRequest, request } from "../netlink/message.ts";
import { addressFamily, ipFamily, openBody, readIp } from "./body.ts";
import {
  NDA_DST,
  NDA_IFINDEX,
  NDA_LLADDR,
  NTF_PROXY,
  NUD_NOARP,
  NUD_PERMANENT,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from "./constants.ts";
import { type Device, describeDevice, indexOf } from "./device.ts";
import type { Rtnl } from "./rtnl.ts";

/** sizeof(struct ndmsg) */
const ndmsgBytes = 12;

/** A neighbour to make known or to forget; undefined is not sent. */
export interface NeighbourSpec {
  readonly device: Device;
  readonly ip: Ip;
  /** Its hardware address; a proxy entry has none. */
  readonly mac?: Uint8Array | undefined;
  /** NUD_*; undefined is NUD_PERMANENT. */
  readonly state?: number | undefined;
  /** NTF_*, such as NTF_PROXY. */
  readonly flags?: number | undefined;
}

/** A neighbour as the kernel described it. */
export interface Neighbour extends NeighbourSpec {
  readonly device: number;
  readonly state: number;
  readonly flags: number;
}

/** Which neighbours a list is wanted of; undefined means any. Proxy entries are a list of their own. */
export interface NeighbourFilter {
  readonly device?: Device | undefined;
  readonly family?: 4 | 6 | undefined;
  readonly proxies?: boolean | undefined;
}

/** Adds a neighbour; EEXIST when the device has one of that address. */
export function addNeighbour(spec: NeighbourSpec): NetlinkRequest {
  return neighbourRequest("add", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, spec);
}

/** Adds a neighbour, or gives the one that is there the new hardware address and state. */
export function replaceNeighbour(spec: NeighbourSpec): NetlinkRequest {
  return neighbourRequest("replace", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, spec);
}

/** Deletes a neighbour; ENOENT when there is none. Only device, address and NTF_PROXY count. */
export function deleteNeighbour({ device, ip, flags }: NeighbourSpec): NetlinkRequest {
  return neighbourRequest("delete", RTM_DELNEIGH, 0, { device, ip, flags });
}

/** Neighbours in the kernel's order; those that need no resolution by nature (NUD_NOARP: multicast, loopback) are left out. */
export function listNeighbours(rtnl: Rtnl, filter: NeighbourFilter = {}): Neighbour[] {
  const device = filter.device === undefined ? undefined : indexOf(filter.device);
  const operation =
    filter.device === undefined ? "list neighbours" : `list neighbours of ${describeDevice(filter.device)}`;
  const query = request(operation, RTM_GETNEIGH, 0, (body) => {
    const header = body.struct(ndmsgBytes);
    if (filter.family !== undefined) header.setUint8(0, addressFamily(filter.family));
    if (filter.proxies === true) header.setUint8(10, NTF_PROXY);
    if (device !== undefined) body.u32(NDA_IFINDEX, device);
  });
  return rtnl
    .dump(query)
    .map((message) => decodeNeighbour(message, operation))
    .filter((found) => found !== undefined)
    .filter((found) => found.state !== NUD_NOARP && (device === undefined || found.device === device));
}

function neighbourRequest(verb: string, type: number, flags: number, spec: NeighbourSpec): NetlinkRequest {
  const label = `${verb} neighbour ${formatIp(spec.ip)} dev ${describeDevice(spec.device)}`;
  return request(label, type, flags, (body) => {
    // struct ndmsg: u8 ndm_family, u8 pad, u16 pad, s32 ndm_ifindex, u16 ndm_state, u8 ndm_flags, u8 ndm_type
    const header = body.struct(ndmsgBytes);
    header.setUint8(0, addressFamily(spec.ip.family));
    header.setInt32(4, indexOf(spec.device), hostOrder);
    header.setUint16(8, spec.state ?? NUD_PERMANENT, hostOrder);
    header.setUint8(10, spec.flags ?? 0);
    body.bytes(NDA_DST, ipToBytes(spec.ip));
    if (spec.mac !== undefined) body.bytes(NDA_LLADDR, spec.mac);
  });
}

/** Reads RTM_NEWNEIGH; undefined for what is no IP neighbour (bridge forwarding entries). `operation` is what an EBADMSG says failed. */
export function decodeNeighbour(message: NetlinkMessage, operation: string): Neighbour | undefined {
  const { header, attributes } = openBody(message, ndmsgBytes, operation);
  if (ipFamily(header.getUint8(0)) === undefined) return undefined;
  let ip: Ip | undefined;
  let mac: Uint8Array | undefined;
  while (attributes.next()) {
    if (attributes.type === NDA_DST) ip = readIp(attributes);
    else if (attributes.type === NDA_LLADDR) mac = attributes.bytes().slice();
  }
  attributes.finish(operation);
  if (ip === undefined) return undefined;
  return {
    device: header.getInt32(4, hostOrder),
    ip,
    mac,
    state: header.getUint16(8, hostOrder),
    flags: header.getUint8(10),
  };
}
