import type { NetlinkRequest } from "../../netlink/message.ts";
import { addBridgeVlans, type BridgeVlan, deleteBridgeVlans } from "../../rtnl/bridge-vlan.ts";
import type { Device } from "../../rtnl/device.ts";
import type { BridgeConfig } from "./config.ts";

export type VlanWish = Pick<BridgeConfig, "vlan" | "trunk" | "preserveDefaultVlan">;

/** The native VLAN of a trunk whose config names none. */
const defaultVlan = 1;

/**
 * The VLANs that the pod's port is to be in, neighbours joined to ranges; none when the config names none. The pod's untagged frames are
 * of `vlan`, or of VLAN 1 for a trunk alone. A `vlan` that the trunk has too stays the untagged one; upstream leaves the port without
 * any then.
 */
export function wantedVlans({ vlan, trunk }: VlanWish): readonly BridgeVlan[] {
  const native = vlan === 0 && trunk.length > 0 ? defaultVlan : vlan;
  if (native === 0) return [];
  return [{ id: native, pvid: true, untagged: true }, ...joined(trunk.filter((id) => id !== native))];
}

/**
 * The requests that bring a port into its VLANs, right after it has joined the bridge: it is in no VLAN but `bridgeDefault` by then, which it
 * leaves unless it is to be preserved.
 */
export function vlanRequests(port: Device, wish: VlanWish, bridgeDefault: number | undefined): NetlinkRequest[] {
  const wanted = wantedVlans(wish);
  if (wanted.length === 0) return [];
  const leaves = !wish.preserveDefaultVlan && bridgeDefault !== undefined && bridgeDefault !== 0;
  return [
    ...(leaves ? [deleteBridgeVlans({ device: port }, [{ id: bridgeDefault }])] : []),
    addBridgeVlans({ device: port }, wanted),
  ];
}

/** Sorted ids as VLANs that keep their tags, each run of neighbours as one. */
function joined(ids: readonly number[]): BridgeVlan[] {
  const runs: { id: number; lastId: number }[] = [];
  for (const id of ids) {
    const run = runs.at(-1);
    if (run !== undefined && id === run.lastId + 1) run.lastId = id;
    else runs.push({ id, lastId: id });
  }
  return runs.map(({ id, lastId }) => (id === lastId ? { id } : { id, lastId }));
}
