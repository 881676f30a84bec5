import { type Kind, nameOf } from "./kind.ts";

// include/uapi/linux/if_link.h
const IFLA_IPVLAN_MODE = 1;
const IFLA_IPVLAN_FLAGS = 2;

/** IPVLAN_MODE_* in the words of ip-link(8). */
const modes = { l2: 0, l3: 1, l3s: 2 } as const;
/** IPVLAN_F_PRIVATE, IPVLAN_F_VEPA, or neither, in the words of ip-link(8). */
const flags = { bridge: 0, private: 1, vepa: 2 } as const;

export type IpvlanMode = keyof typeof modes;
export type IpvlanFlag = keyof typeof flags;

/** All ipvlans of a device have one mode and one flag: those of the last that was made, or changed, count for all. */
export interface Ipvlan {
  readonly kind: "ipvlan";
  /** A new ipvlan for which none is sent is l3, and so are all others of its device from then on. */
  readonly mode?: IpvlanMode | undefined;
  /** How frames between ipvlans of one device go: straight, not at all, or over the switch outside. The kernel's default is bridge. */
  readonly flag?: IpvlanFlag | undefined;
}

/** drivers/net/ipvlan/ipvlan_main.c */
export const ipvlan: Kind<Ipvlan> = {
  encode(data, encoder) {
    if (data.mode !== undefined) encoder.u16(IFLA_IPVLAN_MODE, modes[data.mode]);
    if (data.flag !== undefined) encoder.u16(IFLA_IPVLAN_FLAGS, flags[data.flag]);
  },

  decode(attributes) {
    let mode: IpvlanMode | undefined;
    let flag: IpvlanFlag | undefined;
    while (attributes.next()) {
      if (attributes.type === IFLA_IPVLAN_MODE) mode = nameOf(modes, attributes.u16());
      else if (attributes.type === IFLA_IPVLAN_FLAGS) flag = nameOf(flags, attributes.u16());
    }
    return { kind: "ipvlan", mode, flag };
  },
};
