import { type DeviceSettings, encodeDevice } from "../device-settings.ts";
import type { Kind } from "./kind.ts";

// include/uapi/linux/veth.h
const VETH_INFO_PEER = 1;

export interface Veth {
  readonly kind: "veth";
  /**
   * The other end, made in the same request: its name, MTU, MAC, namespace … Without a name the kernel picks one. It can't be
   * brought up yet: the kernel joins the two only after both are configured (ENOTCONN). The kernel never reports it here; a
   * `Link`'s `parent` is the peer's index, in the namespace `parentNetnsId`.
   */
  readonly peer?: Omit<DeviceSettings, "up"> | undefined;
}

/** drivers/net/veth.c: VETH_INFO_PEER holds what a link message of its own would. */
export const veth: Kind<Veth> = {
  encode(data, encoder) {
    const { peer } = data;
    if (peer !== undefined) encoder.nested(VETH_INFO_PEER, (inner) => encodeDevice(peer, inner));
  },

  decode() {
    return { kind: "veth" };
  },
};
