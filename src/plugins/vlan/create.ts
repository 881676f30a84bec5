import type { Netns } from "../../netns/netns.ts";
import type { Link } from "../../rtnl/link.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { createChild } from "../common/child-link.ts";
import type { Cures } from "../common/explain.ts";
import type { MasterPlace } from "../common/master.ts";
import type { VlanConfig } from "./config.ts";

/**
 * Makes the VLAN in the pod under its final name, still down, and returns it; `undo` gets its deletion. A VLAN whose namespace is being torn
 * down by the kernel is waited for. Throws `CniError` when the kernel refuses.
 */
export async function createVlan(
  place: MasterPlace,
  master: Link,
  pod: Netns,
  ifName: string,
  { id, mtu }: VlanConfig,
  undo: UndoScope,
): Promise<Link> {
  const data = { kind: "vlan", id } as const;
  const create = () =>
    createChild(place, pod, { name: ifName, parent: master.index, mtu: mtu === 0 ? undefined : mtu, data }, undo);
  try {
    return create();
  } catch (error) {
    const { overcome } = await import("./refusal.ts");
    return overcome(error, { place, master, pod, ifName, id, mtu }, create);
  }
}

/** What a refusal to bring up a VLAN means. */
export function upCures({ name }: Link): Cures {
  return { ENETDOWN: `a VLAN can't be up while its master is down: \`ip link set ${name} up\`` };
}
