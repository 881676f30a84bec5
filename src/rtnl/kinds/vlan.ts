import type { Kind } from "./kind.ts";

// include/uapi/linux/if_link.h
const IFLA_VLAN_ID = 1;
const IFLA_VLAN_PROTOCOL = 5;

export interface Vlan {
  readonly kind: "vlan";
  /** 0 to 4094; a new VLAN needs one. */
  readonly id?: number | undefined;
  /** The Ethernet type of the tag: 0x8100 (802.1Q, the kernel's default) or 0x88a8 (802.1ad). */
  readonly protocol?: number | undefined;
}

/** net/8021q/vlan_netlink.c */
export const vlan: Kind<Vlan> = {
  encode(data, encoder) {
    if (data.id !== undefined) encoder.u16(IFLA_VLAN_ID, data.id);
    if (data.protocol !== undefined) encoder.be16(IFLA_VLAN_PROTOCOL, data.protocol);
  },

  decode(attributes) {
    let id: number | undefined;
    let protocol: number | undefined;
    while (attributes.next()) {
      if (attributes.type === IFLA_VLAN_ID) id = attributes.u16();
      else if (attributes.type === IFLA_VLAN_PROTOCOL) protocol = attributes.be16();
    }
    return { kind: "vlan", id, protocol };
  },
};
