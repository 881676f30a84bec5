import type { AttributeEncoder } from "../netlink/attribute-encoder.ts";
import { hostOrder, NLM_F_CREATE, NLM_F_EXCL } from "../netlink/constants.ts";
import { type NetlinkRequest, request } from "../netlink/message.ts";
import {
  IFLA_ALT_IFNAME,
  IFLA_GROUP,
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINKINFO,
  RTM_DELLINK,
  RTM_NEWLINK,
} from "./constants.ts";
import { type BirthSettings, type DeviceSettings, encodeDevice, ifinfomsgBytes } from "./device-settings.ts";
import { type Device, describeDevice } from "./device.ts";
import { encodeData, type LinkData } from "./kinds/table.ts";

/** A link to make. */
export interface LinkSpec extends DeviceSettings, BirthSettings {
  readonly name: string;
  readonly data: LinkData;
}

/** What to change of a link; `data` only with the link's own kind. */
export interface LinkChange extends DeviceSettings {
  readonly data?: LinkData | undefined;
}

/** A link by name, by index, or as `Link` (by index, and errors say the name). */
export type LinkTarget = string | Device;

/** IFNAMSIZ - 1; longer names can only be alternative ones. */
const nameBytesMax = 15;
const textEncoder = new TextEncoder();

/**
 * Makes a link. With `netnsFd` it is born in that namespace under its final name: only a link of that name over there is in the
 * way (EEXIST), one in the namespace of the `Rtnl` is not.
 */
export function addLink(spec: LinkSpec): NetlinkRequest {
  return request(`add link ${spec.name}`, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, (body) => {
    encodeDevice(spec, body);
    encodeInfo(spec.data, body);
  });
}

/**
 * Changes a link; ENODEV when there is none. A new name needs the target's index, since a name alone says which link is
 * meant; anything else is a RangeError. Moving it into a namespace and giving it a name there is one change.
 */
export function setLink(target: LinkTarget, change: LinkChange): NetlinkRequest {
  return request(`set link ${describeLink(target)}`, RTM_NEWLINK, 0, (body) => {
    if (typeof target === "string") {
      if (change.name !== undefined) throw new RangeError(`link ${target} can be renamed by its index only`);
      encodeDevice(change, body);
      encodeName(target, body);
    } else encodeDevice(change, body, typeof target === "number" ? target : target.index);
    if (change.data !== undefined) encodeInfo(change.data, body);
  });
}

/** Deletes a link; ENODEV when there is none. */
export function deleteLink(target: LinkTarget): NetlinkRequest {
  return request(`delete link ${describeLink(target)}`, RTM_DELLINK, 0, (body) => encodeTarget(target, body));
}

/**
 * Deletes all links of a group (not 0: EPERM) in one go, waiting for the kernel's grace periods once instead of for each link.
 * ENODEV when it is empty; EOPNOTSUPP, and nothing deleted, when one of them is a device that can't be deleted.
 */
export function deleteGroup(group: number): NetlinkRequest {
  return request(`delete links of group ${group}`, RTM_DELLINK, 0, (body) => {
    body.struct(ifinfomsgBytes);
    body.u32(IFLA_GROUP, group);
  });
}

/** Writes struct ifinfomsg with the target's index, or with none and its name behind. */
export function encodeTarget(target: LinkTarget, encoder: AttributeEncoder): void {
  const header = encoder.struct(ifinfomsgBytes);
  if (typeof target === "string") encodeName(target, encoder);
  else header.setInt32(4, typeof target === "number" ? target : target.index, hostOrder);
}

/** For error messages: the name, or "#7" where only the index is known. */
export function describeLink(target: LinkTarget): string {
  return typeof target === "string" ? target : describeDevice(target);
}

function encodeName(name: string, encoder: AttributeEncoder): void {
  encoder.text(textEncoder.encode(name).length > nameBytesMax ? IFLA_ALT_IFNAME : IFLA_IFNAME, name);
}

function encodeInfo(data: LinkData, encoder: AttributeEncoder): void {
  encoder.nested(IFLA_LINKINFO, (info) => {
    info.text(IFLA_INFO_KIND, data.kind);
    info.nested(IFLA_INFO_DATA, (inner) => encodeData(data, inner));
  });
}
