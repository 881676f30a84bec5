import { NetnsError } from "../netns/error.ts";
import type { Netns } from "../netns/netns.ts";
import type { NetnsRef } from "../netns/ref.ts";
import { CniError, code } from "./error.ts";
import type { Verb } from "./version.ts";

/**
 * Throws `CniError` code 8 for an ADD or a DEL in the namespace that the caller is in itself: it would make, rename or delete the node's own
 * interfaces. To be called before anything is done, unlike upstream, which looks afterwards. A path that is no namespace is left to the plugin.
 */
export function refuseOwnNetns(verb: Verb, netns: NetnsRef, host: Netns): void {
  if ((verb !== "ADD" && verb !== "DEL") || !isHost(netns, host)) return;
  throw new CniError(
    code.invalidNetns,
    "plugin's netns and netns from CNI_NETNS should not be the same",
    "CNI_NETNS_OVERRIDE=1 allows it",
  );
}

function isHost(netns: NetnsRef, host: Netns): boolean {
  try {
    return netns.openIfExists()?.isSame(host) ?? false;
  } catch (error) {
    if (error instanceof NetnsError) return false;
    throw error;
  }
}
