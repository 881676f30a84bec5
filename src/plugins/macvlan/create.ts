import { formatMac } from "../../ip/mac.ts";
import type { Netns } from "../../netns/netns.ts";
import type { Link } from "../../rtnl/link.ts";
import type { UndoScope } from "../../undo/undo.ts";
import { createChild } from "../common/child-link.ts";
import type { Cures } from "../common/explain.ts";
import type { MasterPlace } from "../common/master.ts";
import type { MacvlanConfig } from "./config.ts";

/**
 * Makes the macvlan in the pod under its final name, still down, and returns it; `undo` gets its deletion. A rival for the master (mode
 * passthru) whose namespace is being torn down by the kernel is waited for. Throws `CniError` when the kernel refuses.
 */
export async function createMacvlan(
  place: MasterPlace,
  master: Link,
  pod: Netns,
  ifName: string,
  config: MacvlanConfig,
  undo: UndoScope,
): Promise<Link> {
  const { mode, mac, mtu, broadcastQueueLength } = config;
  const data = { kind: "macvlan", mode, broadcastQueueLength } as const;
  const create = () =>
    createChild(place, pod, { name: ifName, parent: master.index, mac, mtu: mtu === 0 ? undefined : mtu, data }, undo);
  try {
    return create();
  } catch (error) {
    const { overcome } = await import("./refusal.ts");
    return overcome(error, { place, master, pod, ifName, config }, create);
  }
}

/** What a refusal to bring up a macvlan means. */
export function upCures(link: Link, master: Link): Cures {
  return {
    EADDRINUSE: `MAC ${formatMac(link.mac)} is ${master.name}'s own or that of another macvlan on it; choose another or leave "mac" out`,
  };
}
