import type { AttributeEncoder } from "../netlink/attribute-encoder.ts";
import { hostOrder } from "../netlink/constants.ts";
import {
  IFF_ALLMULTI,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_PROMISC,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_GROUP,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_LINK,
  IFLA_LINK_NETNSID,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  IFLA_NUM_RX_QUEUES,
  IFLA_NUM_TX_QUEUES,
  IFLA_TXQLEN,
} from "./constants.ts";

/** sizeof(struct ifinfomsg) */
export const ifinfomsgBytes = 16;

/** What any device can be given, at its birth or later. A field that is undefined is not sent and stays as it is. */
export interface DeviceSettings {
  /** The name; in a change, the new name. */
  readonly name?: string | undefined;
  readonly up?: boolean | undefined;
  readonly promisc?: boolean | undefined;
  readonly allmulti?: boolean | undefined;
  readonly noarp?: boolean | undefined;
  readonly multicast?: boolean | undefined;
  readonly mtu?: number | undefined;
  readonly mac?: Uint8Array | undefined;
  readonly txQueueLength?: number | undefined;
  /** "" takes an alias away. */
  readonly alias?: string | undefined;
  /** IFLA_GROUP, which `deleteGroup` takes; 0 is the group of all new links. */
  readonly group?: number | undefined;
  /** Index of the bridge (vrf, …) to join; 0 leaves it. */
  readonly master?: number | undefined;
  /** Descriptor of the network namespace that the device is to be in. */
  readonly netnsFd?: number | undefined;
}

/** What only a new device can be given. */
export interface BirthSettings {
  /** IFLA_LINK: index of the device it stands on, in the namespace of the `Rtnl`; with `parentNetnsId`, in that one. */
  readonly parent?: number | undefined;
  readonly parentNetnsId?: number | undefined;
  readonly txQueues?: number | undefined;
  readonly rxQueues?: number | undefined;
}

const textEncoder = new TextEncoder();

/** Writes struct ifinfomsg and the attributes; `index` 0 leaves the choice of device to the name. */
export function encodeDevice(settings: DeviceSettings & BirthSettings, encoder: AttributeEncoder, index = 0): void {
  // struct ifinfomsg: u8 ifi_family, u8 pad, u16 ifi_type, s32 ifi_index, u32 ifi_flags, u32 ifi_change
  const header = encoder.struct(ifinfomsgBytes);
  header.setInt32(4, index, hostOrder);
  const { flags, change } = flagsOf(settings);
  header.setUint32(8, flags, hostOrder);
  header.setUint32(12, change, hostOrder);
  encodeAttributes(settings, encoder);
}

function encodeAttributes(settings: DeviceSettings & BirthSettings, encoder: AttributeEncoder): void {
  const { name, mac, alias } = settings;
  if (name !== undefined) encoder.text(IFLA_IFNAME, name);
  if (mac !== undefined) encoder.bytes(IFLA_ADDRESS, mac);
  // Without the NUL: the kernel would keep it as part of the alias.
  if (alias !== undefined) encoder.bytes(IFLA_IFALIAS, textEncoder.encode(alias));
  if (settings.mtu !== undefined) encoder.u32(IFLA_MTU, settings.mtu);
  if (settings.parent !== undefined) encoder.u32(IFLA_LINK, settings.parent);
  if (settings.master !== undefined) encoder.u32(IFLA_MASTER, settings.master);
  if (settings.txQueueLength !== undefined) encoder.u32(IFLA_TXQLEN, settings.txQueueLength);
  if (settings.group !== undefined) encoder.u32(IFLA_GROUP, settings.group);
  if (settings.netnsFd !== undefined) encoder.u32(IFLA_NET_NS_FD, settings.netnsFd);
  if (settings.txQueues !== undefined) encoder.u32(IFLA_NUM_TX_QUEUES, settings.txQueues);
  if (settings.rxQueues !== undefined) encoder.u32(IFLA_NUM_RX_QUEUES, settings.rxQueues);
  if (settings.parentNetnsId !== undefined) encoder.i32(IFLA_LINK_NETNSID, settings.parentNetnsId);
}

/** ifi_flags and ifi_change: only the bits of the second are looked at. */
function flagsOf(settings: DeviceSettings): { readonly flags: number; readonly change: number } {
  const { up, promisc, allmulti, noarp, multicast } = settings;
  let flags = 0;
  let change = 0;
  const decide = (bit: number, value: boolean | undefined): void => {
    if (value !== undefined) change |= bit;
    if (value === true) flags |= bit;
  };
  decide(IFF_UP, up);
  decide(IFF_PROMISC, promisc);
  decide(IFF_ALLMULTI, allmulti);
  decide(IFF_NOARP, noarp);
  decide(IFF_MULTICAST, multicast);
  return { flags, change };
}
