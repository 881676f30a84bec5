import { NetnsError } from "../../netns/error.ts";
import { Netns } from "../../netns/netns.ts";
import { identityOf, visibleNamespaces } from "../../netns/visible.ts";
import { type Link, listLinks } from "../../rtnl/link.ts";
import { netnsIdOf } from "../../rtnl/netns-id.ts";
import type { MasterPlace } from "./master.ts";
import { describeNamespace } from "./whereabouts.ts";

/** A link that stands on a master, and where it is. */
export interface Occupant {
  readonly link: Link;
  /** For messages: "interface net1 of pod default/web (/run/netns/x)". */
  readonly description: string;
}

/**
 * The links on `master` for which `isWanted` holds, in all namespaces of this machine that can be seen; those in the master's own come first.
 * A veth is told to stand on its peer.
 * It ends after `limit` of them. Costs a tenth of a millisecond for each namespace: for what has failed already. A namespace that vanishes
 * meanwhile, or may not be entered, is passed over.
 */
export function findOccupants(
  place: MasterPlace,
  master: Link,
  isWanted: (link: Link, netns: Netns) => boolean,
  limit = Infinity,
): Occupant[] {
  const found: Occupant[] = [];
  const look = (netns: Netns, describe: () => string, homeId?: number) => {
    for (const link of listLinks(netns.rtnl)) {
      const isOnMaster = link.parent === master.index && link.parentNetnsId === homeId;
      if (!isOnMaster || !isWanted(link, netns)) continue;
      found.push({ link, description: `interface ${link.name} of ${describe()}` });
      if (found.length >= limit) return;
    }
  };
  const home = place.netns;
  look(home, () => (place.isPod ? `this pod (${home.path})` : "the node"));
  const homeIdentity = identityOf(`/proc/thread-self/fd/${home.fd.number}`);
  for (const visible of visibleNamespaces()) {
    if (found.length >= limit) break;
    if (identityOf(visible.path) === homeIdentity) continue;
    within(visible.path, (netns) => {
      const homeId = netnsIdOf(netns.rtnl, home.fd.number);
      if (homeId !== undefined) look(netns, () => describeNamespace(visible), homeId);
    });
  }
  return found;
}

const shownMax = 3;

/** The occupants as a list for a message: the first few by their descriptions, and how many more there are. */
export function describeOccupants(occupants: readonly Occupant[]): string {
  const shown = occupants.slice(0, shownMax).map(({ description }) => description);
  const more = occupants.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function within(path: string, body: (netns: Netns) => void): void {
  try {
    using netns = Netns.openIfExists(path);
    if (netns !== undefined) body(netns);
  } catch (error) {
    if (!(error instanceof NetnsError)) throw error;
  }
}
