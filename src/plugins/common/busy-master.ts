import { getLink, type Link } from "../../rtnl/link.ts";
import type { MasterPlace } from "./master.ts";
import { describeOccupants, findOccupants } from "./occupants.ts";

/** Kinds of links that take over all frames of their master (a receive handler), and the words for several of them. */
const takers = new Map([
  ["macvlan", "macvlans"],
  ["macvtap", "macvlans"],
  ["ipvlan", "ipvlans"],
  ["ipvtap", "ipvlans"],
]);

/**
 * What EBUSY means when a macvlan or an ipvlan is to stand on `master`, and what to do: a device gives its frames to one taker only, be it a
 * bridge, all its macvlans or all its ipvlans (netdev_rx_handler_register() in net/core/dev.c). Names what has it.
 */
export function explainBusyMaster(place: MasterPlace, master: Link): string {
  const { name } = master;
  const bridge = master.master === undefined ? undefined : getLink(place.netns.rtnl, master.master);
  if (bridge !== undefined) return `${name} is a port of ${bridge.name}; name ${bridge.name} as the master`;
  const occupants = findOccupants(place, master, ({ kind }) => takers.has(kind));
  const kinds = takers.get(occupants[0]?.link.kind ?? "");
  const cure = "use another master, or one plugin type for all networks on it";
  if (kinds === undefined)
    return `another kind of device (ipvlan, bond, Open vSwitch …) has ${name} for itself; ${cure}`;
  return `${name} carries ${kinds} (${describeOccupants(occupants)}), and one device can't carry macvlans and ipvlans; ${cure}; a VLAN of ${name} is another master`;
}
