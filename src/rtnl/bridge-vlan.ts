import type { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import { hostOrder } from "../netlink/constants.ts";
import { type NetlinkMessage, type NetlinkRequest, request } from "../netlink/message.ts";
import { openBody } from "./body.ts";
import {
  AF_BRIDGE,
  BRIDGE_FLAGS_SELF,
  BRIDGE_VLAN_INFO_PVID,
  BRIDGE_VLAN_INFO_RANGE_BEGIN,
  BRIDGE_VLAN_INFO_RANGE_END,
  BRIDGE_VLAN_INFO_UNTAGGED,
  IFLA_AF_SPEC,
  IFLA_BRIDGE_FLAGS,
  IFLA_BRIDGE_VLAN_INFO,
  IFLA_EXT_MASK,
  RTEXT_FILTER_BRVLAN_COMPRESSED,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_SETLINK,
} from "./constants.ts";
import { ifinfomsgBytes } from "./device-settings.ts";
import { type Device, describeDevice, indexOf } from "./device.ts";
import type { Rtnl } from "./rtnl.ts";

/** sizeof(struct bridge_vlan_info) */
const vlanInfoBytes = 4;

/** A VLAN, or a range of them, that the filter of a bridge lets through a port. */
export interface BridgeVlan {
  /** 1 to 4094. */
  readonly id: number;
  /** The last one of a range; undefined is `id` alone. */
  readonly lastId?: number | undefined;
  /** Frames that come in without a tag belong to it; never of a range. */
  readonly pvid?: boolean | undefined;
  /** Its frames leave without a tag. */
  readonly untagged?: boolean | undefined;
}

/** Where a VLAN goes: to a port of a bridge, or with `self` to the bridge's own device. */
export interface VlanTarget {
  readonly device: Device;
  readonly self?: boolean | undefined;
}

/** What the filter lets through one port. */
export interface PortVlans {
  /** Index of the port, or of the bridge's own device. */
  readonly device: number;
  readonly vlans: readonly BridgeVlan[];
}

/** Lets VLANs through, all or none of them; those already there get the new flags. EOPNOTSUPP where the kernel can't filter VLANs. */
export function addBridgeVlans(target: VlanTarget, vlans: readonly BridgeVlan[]): NetlinkRequest {
  return vlanRequest("add", "to", RTM_SETLINK, target, vlans);
}

/** Takes VLANs off the filter; those that are not on it do no harm. */
export function deleteBridgeVlans(target: VlanTarget, vlans: readonly BridgeVlan[]): NetlinkRequest {
  return vlanRequest("delete", "from", RTM_DELLINK, target, vlans);
}

/** The VLANs of every port and bridge of the namespace, equal neighbours joined to ranges; those without any are left out. */
export function listBridgeVlans(rtnl: Rtnl): PortVlans[] {
  const query = request("list bridge VLANs", RTM_GETLINK, 0, (body) => {
    body.struct(ifinfomsgBytes).setUint8(0, AF_BRIDGE);
    body.u32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED);
  });
  return rtnl
    .dump(query)
    .map((message) => decodePortVlans(message, query.label))
    .filter((port) => port.vlans.length > 0);
}

function vlanRequest(
  verb: string,
  preposition: string,
  type: number,
  { device, self }: VlanTarget,
  vlans: readonly BridgeVlan[],
): NetlinkRequest {
  const label = `${verb} VLAN ${vlans.map(describeVlan).join(",")} ${preposition} bridge port ${describeDevice(device)}`;
  return request(label, type, 0, (body) => {
    const header = body.struct(ifinfomsgBytes);
    header.setUint8(0, AF_BRIDGE);
    header.setInt32(4, indexOf(device), hostOrder);
    body.nested(IFLA_AF_SPEC, (spec) => {
      if (self === true) spec.u16(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF);
      for (const { flags, id } of vlans.flatMap(toInfos)) spec.bytes(IFLA_BRIDGE_VLAN_INFO, encodeInfo(flags, id));
    });
  });
}

function describeVlan({ id, lastId }: BridgeVlan): string {
  return lastId === undefined || lastId === id ? String(id) : `${id}-${lastId}`;
}

interface Info {
  readonly flags: number;
  readonly id: number;
}

/** A range is two entries that differ in a flag only. */
function toInfos({ id, lastId, pvid, untagged }: BridgeVlan): Info[] {
  const flags = (pvid === true ? BRIDGE_VLAN_INFO_PVID : 0) | (untagged === true ? BRIDGE_VLAN_INFO_UNTAGGED : 0);
  if (lastId === undefined || lastId === id) return [{ flags, id }];
  return [
    { flags: flags | BRIDGE_VLAN_INFO_RANGE_BEGIN, id },
    { flags: flags | BRIDGE_VLAN_INFO_RANGE_END, id: lastId },
  ];
}

/** struct bridge_vlan_info: u16 flags, u16 vid */
function encodeInfo(flags: number, id: number): Uint8Array {
  const memory = new Uint8Array(vlanInfoBytes);
  const view = new DataView(memory.buffer);
  view.setUint16(0, flags, hostOrder);
  view.setUint16(2, id, hostOrder);
  return memory;
}

/** Reads RTM_NEWLINK of family AF_BRIDGE; `operation` is what an EBADMSG says failed. */
export function decodePortVlans(message: NetlinkMessage, operation: string): PortVlans {
  const { header, attributes } = openBody(message, ifinfomsgBytes, operation);
  const vlans: BridgeVlan[] = [];
  while (attributes.next()) if (attributes.type === IFLA_AF_SPEC) readSpec(attributes.nested(), vlans);
  attributes.finish(operation);
  return { device: header.getInt32(4, hostOrder), vlans };
}

function readSpec(spec: AttributeDecoder, vlans: BridgeVlan[]): void {
  let first: number | undefined;
  while (spec.next()) {
    const bytes = spec.bytes();
    if (spec.type !== IFLA_BRIDGE_VLAN_INFO || bytes.length < vlanInfoBytes) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const flags = view.getUint16(0, hostOrder);
    const id = view.getUint16(2, hostOrder);
    if ((flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) !== 0) {
      first = id;
      continue;
    }
    const pvid = (flags & BRIDGE_VLAN_INFO_PVID) !== 0;
    const untagged = (flags & BRIDGE_VLAN_INFO_UNTAGGED) !== 0;
    vlans.push({ id: first ?? id, lastId: first === undefined ? undefined : id, pvid, untagged });
    first = undefined;
  }
}
