import type { Logger } from "../../log/logger.ts";
import type { Netns } from "../../netns/netns.ts";
import type { Link } from "../../rtnl/link.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { createChild } from "../common/child-link.ts";
import type { MasterPlace } from "../common/master.ts";
import type { IpvlanConfig } from "./config.ts";
import { createInMode } from "./master-mode.ts";

/**
 * Makes the ipvlan in the pod under its final name, still down, and returns it; `undo` gets its deletion. Throws `CniError` when the
 * kernel refuses, and when the master carries ipvlans of another mode or flag: the new one would change them all.
 */
export async function createIpvlan(
  place: MasterPlace,
  master: Link,
  pod: Netns,
  ifName: string,
  { mode, flag, mtu }: IpvlanConfig,
  undo: UndoScope,
  log: Logger,
): Promise<Link> {
  const data = { kind: "ipvlan", mode, flag } as const;
  const spec = { name: ifName, parent: master.index, mtu: mtu === 0 ? undefined : mtu, data };
  try {
    return await createInMode(place, master, data, log, () => createChild(place, pod, spec, undo));
  } catch (error) {
    const { explainCreation } = await import("./refusal.ts");
    throw explainCreation(error, place, master, pod, ifName);
  }
}
