import type { Kind } from "./kind.ts";

// include/uapi/linux/if_link.h
const IFLA_VRF_TABLE = 1;

export interface Vrf {
  readonly kind: "vrf";
  /** The routing table of its links; a new VRF needs one. */
  readonly table?: number | undefined;
}

/** drivers/net/vrf.c */
export const vrf: Kind<Vrf> = {
  encode(data, encoder) {
    if (data.table !== undefined) encoder.u32(IFLA_VRF_TABLE, data.table);
  },

  decode(attributes) {
    let table: number | undefined;
    while (attributes.next()) if (attributes.type === IFLA_VRF_TABLE) table = attributes.u32();
    return { kind: "vrf", table };
  },
};
