import { type Kind, nameOf } from "./kind.ts";

// include/uapi/linux/if_link.h
const IFLA_MACVLAN_MODE = 1;
const IFLA_MACVLAN_FLAGS = 2;
const IFLA_MACVLAN_BC_QUEUE_LEN = 7;
export const MACVLAN_FLAG_NOPROMISC = 1;
export const MACVLAN_FLAG_NODST = 2;

/** MACVLAN_MODE_* in the words of ip-link(8). */
const modes = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const;

export type MacvlanMode = keyof typeof modes;

export interface Macvlan {
  readonly kind: "macvlan";
  /** The kernel's default is vepa. */
  readonly mode?: MacvlanMode | undefined;
  /** MACVLAN_FLAG_* */
  readonly flags?: number | undefined;
  /** How many broadcast frames may wait for delivery: the largest such wish of all macvlans on the parent counts. */
  readonly broadcastQueueLength?: number | undefined;
}

/** drivers/net/macvlan.c */
export const macvlan: Kind<Macvlan> = {
  encode(data, encoder) {
    if (data.mode !== undefined) encoder.u32(IFLA_MACVLAN_MODE, modes[data.mode]);
    if (data.flags !== undefined) encoder.u16(IFLA_MACVLAN_FLAGS, data.flags);
    if (data.broadcastQueueLength !== undefined) encoder.u32(IFLA_MACVLAN_BC_QUEUE_LEN, data.broadcastQueueLength);
  },

  decode(attributes) {
    let mode: MacvlanMode | undefined;
    let flags: number | undefined;
    let broadcastQueueLength: number | undefined;
    while (attributes.next()) {
      if (attributes.type === IFLA_MACVLAN_MODE) mode = nameOf(modes, attributes.u32());
      else if (attributes.type === IFLA_MACVLAN_FLAGS) flags = attributes.u16();
      else if (attributes.type === IFLA_MACVLAN_BC_QUEUE_LEN) broadcastQueueLength = attributes.u32();
    }
    return { kind: "macvlan", mode, flags, broadcastQueueLength };
  },
};
