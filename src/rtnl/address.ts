import type { Ip } from "../ip/address.ts";
import { ipToBytes } from "../ip/address.ts";
import { formatPrefix, lastIp, type Prefix } from "../ip/prefix.ts";
import type { AttributeEncoder } from "../netlink/attribute-encoder.ts";
import type { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import { hostOrder, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../netlink/constants.ts";
import { type NetlinkMessage, type NetlinkRequest, request } from "../netlink/message.ts";
import { addressFamily, ipFamily, openBody, readIp } from "./body.ts";
import {
  IFA_ADDRESS,
  IFA_BROADCAST,
  IFA_CACHEINFO,
  IFA_F_DADFAILED,
  IFA_F_TENTATIVE,
  IFA_FLAGS,
  IFA_LABEL,
  IFA_LOCAL,
  IFA_RT_PRIORITY,
  RT_SCOPE_UNIVERSE,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from "./constants.ts";
import { type Device, describeDevice, indexOf } from "./device.ts";
import type { Rtnl } from "./rtnl.ts";
import type { Writable } from "./writable.ts";

/** sizeof(struct ifaddrmsg) */
const ifaddrmsgBytes = 8;
/** sizeof(struct ifa_cacheinfo) */
const cacheInfoBytes = 16;
/** Above /30 there is no room for a broadcast address (RFC 3021). */
const broadcastBitsMax = 30;

/** An address to put on a device, or to take from it; undefined is not sent. */
export interface AddressSpec {
  readonly device: Device;
  /** The address itself with the length of its network. */
  readonly prefix: Prefix;
  /** Of a point-to-point link: the address over there, whose network (of the same length) is the one routed to. */
  readonly peer?: Ip | undefined;
  /** Undefined in family 4 means the network's last address up to /30 (and none behind a peer); "none" means none. */
  readonly broadcast?: Ip | "none" | undefined;
  /** RT_SCOPE_*; undefined is RT_SCOPE_UNIVERSE. */
  readonly scope?: number | undefined;
  /** IFA_F_*, such as IFA_F_NODAD. */
  readonly flags?: number | undefined;
  /** Family 4 only: the device's name, or that name, a colon and more. */
  readonly label?: string | undefined;
  /** Metric of the route to the address's network that the kernel makes. */
  readonly metric?: number | undefined;
  readonly validSeconds?: number | undefined;
  readonly preferredSeconds?: number | undefined;
}

/** An address as the kernel described it; what it did not say is undefined. */
export interface Address {
  /** Index of its device. */
  readonly device: number;
  readonly prefix: Prefix;
  readonly peer: Ip | undefined;
  readonly broadcast: Ip | undefined;
  readonly scope: number;
  /** IFA_F_* */
  readonly flags: number;
  /** Family 6: duplicate address detection is still running, the address can't be used yet. */
  readonly tentative: boolean;
  /** Family 6: another node has this address; it will never be usable. */
  readonly dadFailed: boolean;
  readonly label: string | undefined;
  readonly metric: number | undefined;
  /** undefined: for ever. */
  readonly validSeconds: number | undefined;
  readonly preferredSeconds: number | undefined;
}

/** Which addresses a list is wanted of; undefined means any. */
export interface AddressFilter {
  readonly device?: Device | undefined;
  readonly family?: 4 | 6 | undefined;
}

const forever = 0xffff_ffff;

/** Adds an address; EEXIST when the device has it. */
export function addAddress(spec: AddressSpec): NetlinkRequest {
  return addressRequest("add", RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, spec, spec.broadcast ?? defaultBroadcast(spec));
}

/** Adds an address, or gives the one that is there the new flags, lifetimes and metric. */
export function replaceAddress(spec: AddressSpec): NetlinkRequest {
  return addressRequest(
    "replace",
    RTM_NEWADDR,
    NLM_F_CREATE | NLM_F_REPLACE,
    spec,
    spec.broadcast ?? defaultBroadcast(spec),
  );
}

/** Deletes an address; EADDRNOTAVAIL when the device does not have it. Only prefix, peer and label count. */
export function deleteAddress({ device, prefix, peer, label }: AddressSpec): NetlinkRequest {
  return addressRequest("delete", RTM_DELADDR, 0, { device, prefix, peer, label }, "none");
}

/** Addresses in the kernel's order, family 4 first. */
export function listAddresses(rtnl: Rtnl, filter: AddressFilter = {}): Address[] {
  const device = filter.device === undefined ? undefined : indexOf(filter.device);
  const operation =
    filter.device === undefined ? "list addresses" : `list addresses of ${describeDevice(filter.device)}`;
  const query = request(operation, RTM_GETADDR, 0, (body) => {
    const header = body.struct(ifaddrmsgBytes);
    if (filter.family !== undefined) header.setUint8(0, addressFamily(filter.family));
    // Kernels before 4.20 ignore it, hence the filter below.
    header.setUint32(4, device ?? 0, hostOrder);
  });
  const addresses: Address[] = [];
  for (const message of rtnl.dump(query)) {
    const address = decodeAddress(message, operation);
    if (address !== undefined && (device === undefined || address.device === device)) addresses.push(address);
  }
  return addresses;
}

function addressRequest(
  verb: string,
  type: number,
  flags: number,
  spec: AddressSpec,
  broadcast: Ip | "none",
): NetlinkRequest {
  const label = `${verb} address ${formatPrefix(spec.prefix)} ${verb === "delete" ? "from" : "to"} ${describeDevice(spec.device)}`;
  return request(label, type, flags, (body) => {
    const { ip, bits } = spec.prefix;
    // struct ifaddrmsg: u8 ifa_family, u8 ifa_prefixlen, u8 ifa_flags, u8 ifa_scope, u32 ifa_index
    const header = body.struct(ifaddrmsgBytes);
    header.setUint8(0, addressFamily(ip.family));
    header.setUint8(1, bits);
    header.setUint8(3, spec.scope ?? RT_SCOPE_UNIVERSE);
    header.setUint32(4, indexOf(spec.device), hostOrder);
    body.bytes(IFA_LOCAL, ipToBytes(ip));
    body.bytes(IFA_ADDRESS, ipToBytes(spec.peer ?? ip));
    if (broadcast !== "none") body.bytes(IFA_BROADCAST, ipToBytes(broadcast));
    if (spec.label !== undefined) body.text(IFA_LABEL, spec.label);
    if (spec.flags !== undefined) body.u32(IFA_FLAGS, spec.flags);
    if (spec.metric !== undefined) body.u32(IFA_RT_PRIORITY, spec.metric);
    encodeLifetimes(spec, body);
  });
}

function defaultBroadcast({ prefix, peer }: AddressSpec): Ip | "none" {
  return prefix.ip.family === 4 && prefix.bits <= broadcastBitsMax && peer === undefined ? lastIp(prefix) : "none";
}

/** struct ifa_cacheinfo: u32 ifa_prefered, u32 ifa_valid, u32 cstamp, u32 tstamp */
function encodeLifetimes({ validSeconds, preferredSeconds }: AddressSpec, body: AttributeEncoder): void {
  if (validSeconds === undefined && preferredSeconds === undefined) return;
  const memory = new Uint8Array(cacheInfoBytes);
  const view = new DataView(memory.buffer);
  view.setUint32(0, preferredSeconds ?? validSeconds ?? forever, hostOrder);
  view.setUint32(4, validSeconds ?? forever, hostOrder);
  body.bytes(IFA_CACHEINFO, memory);
}

/** What the attributes hold, before it is known which of the two addresses is the own one. */
interface Found extends Writable<Omit<Address, "prefix" | "peer" | "tentative" | "dadFailed">> {
  local: Ip | undefined;
  address: Ip | undefined;
}

/** Reads RTM_NEWADDR; undefined for a family that is not IP. `operation` is what an EBADMSG says failed. */
export function decodeAddress(message: NetlinkMessage, operation: string): Address | undefined {
  const { header, attributes } = openBody(message, ifaddrmsgBytes, operation);
  if (ipFamily(header.getUint8(0)) === undefined) return undefined;
  const found: Found = {
    device: header.getUint32(4, hostOrder),
    scope: header.getUint8(3),
    flags: header.getUint8(2),
    local: undefined,
    address: undefined,
    broadcast: undefined,
    label: undefined,
    metric: undefined,
    validSeconds: undefined,
    preferredSeconds: undefined,
  };
  while (attributes.next()) readAttribute(found, attributes);
  attributes.finish(operation);
  const { local, address, ...rest } = found;
  // IFA_ADDRESS is the own address unless IFA_LOCAL says otherwise; then it is the peer's.
  const ip = local ?? address;
  if (ip === undefined) return undefined;
  return {
    ...rest,
    prefix: { ip, bits: header.getUint8(1) },
    peer: local !== undefined && address !== undefined && address.value !== local.value ? address : undefined,
    tentative: (rest.flags & IFA_F_TENTATIVE) !== 0,
    dadFailed: (rest.flags & IFA_F_DADFAILED) !== 0,
  };
}

function readAttribute(found: Found, attribute: AttributeDecoder): void {
  switch (attribute.type) {
    case IFA_LOCAL:
      found.local = readIp(attribute);
      break;
    case IFA_ADDRESS:
      found.address = readIp(attribute);
      break;
    case IFA_BROADCAST:
      found.broadcast = readIp(attribute);
      break;
    case IFA_LABEL:
      found.label = attribute.text();
      break;
    case IFA_FLAGS:
      // All 32 bits of what struct ifaddrmsg has room for 8 of.
      found.flags = attribute.u32();
      break;
    case IFA_RT_PRIORITY:
      found.metric = attribute.u32();
      break;
    case IFA_CACHEINFO:
      readLifetimes(found, attribute.bytes());
      break;
  }
}

function readLifetimes(found: Found, bytes: Uint8Array): void {
  if (bytes.length < cacheInfoBytes) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const preferred = view.getUint32(0, hostOrder);
  const valid = view.getUint32(4, hostOrder);
  if (preferred !== forever) found.preferredSeconds = preferred;
  if (valid !== forever) found.validSeconds = valid;
}
