import type { Kind } from "./kind.ts";
import type { Writable } from "../writable.ts";

// include/uapi/linux/if_link.h
const IFLA_BR_FORWARD_DELAY = 1;
const IFLA_BR_AGEING_TIME = 4;
const IFLA_BR_STP_STATE = 5;
const IFLA_BR_VLAN_FILTERING = 7;
const IFLA_BR_VLAN_PROTOCOL = 8;
const IFLA_BR_MCAST_SNOOPING = 23;
const IFLA_BR_VLAN_DEFAULT_PVID = 39;

export interface Bridge {
  readonly kind: "bridge";
  readonly vlanFiltering?: boolean | undefined;
  /** The VLAN that new ports are put into, 0 for none. */
  readonly vlanDefaultPvid?: number | undefined;
  /** An Ethernet type: 0x8100 or 0x88a8. */
  readonly vlanProtocol?: number | undefined;
  /** IFLA_BR_STP_STATE: 0 off, 1 the kernel's, 2 a user space's spanning tree. */
  readonly stpState?: number | undefined;
  /** In hundredths of a second (clock_t). */
  readonly forwardDelay?: number | undefined;
  /** In hundredths of a second (clock_t). */
  readonly ageingTime?: number | undefined;
  readonly multicastSnooping?: boolean | undefined;
}

/** net/bridge/br_netlink.c */
export const bridge: Kind<Bridge> = {
  encode(data, encoder) {
    if (data.forwardDelay !== undefined) encoder.u32(IFLA_BR_FORWARD_DELAY, data.forwardDelay);
    if (data.ageingTime !== undefined) encoder.u32(IFLA_BR_AGEING_TIME, data.ageingTime);
    if (data.stpState !== undefined) encoder.u32(IFLA_BR_STP_STATE, data.stpState);
    if (data.vlanProtocol !== undefined) encoder.be16(IFLA_BR_VLAN_PROTOCOL, data.vlanProtocol);
    if (data.vlanFiltering !== undefined) encoder.u8(IFLA_BR_VLAN_FILTERING, Number(data.vlanFiltering));
    if (data.vlanDefaultPvid !== undefined) encoder.u16(IFLA_BR_VLAN_DEFAULT_PVID, data.vlanDefaultPvid);
    if (data.multicastSnooping !== undefined) encoder.u8(IFLA_BR_MCAST_SNOOPING, Number(data.multicastSnooping));
  },

  decode(attributes) {
    const data: Writable<Bridge> = { kind: "bridge" };
    while (attributes.next()) {
      if (attributes.type === IFLA_BR_FORWARD_DELAY) data.forwardDelay = attributes.u32();
      else if (attributes.type === IFLA_BR_AGEING_TIME) data.ageingTime = attributes.u32();
      else if (attributes.type === IFLA_BR_STP_STATE) data.stpState = attributes.u32();
      else if (attributes.type === IFLA_BR_VLAN_PROTOCOL) data.vlanProtocol = attributes.be16();
      else if (attributes.type === IFLA_BR_VLAN_FILTERING) data.vlanFiltering = attributes.u8() !== 0;
      else if (attributes.type === IFLA_BR_VLAN_DEFAULT_PVID) data.vlanDefaultPvid = attributes.u16();
      else if (attributes.type === IFLA_BR_MCAST_SNOOPING) data.multicastSnooping = attributes.u8() !== 0;
    }
    return data;
  },
};
