import type { Pools } from "../../cluster/pools/port.ts";
import type { Ip } from "../../ip/address.ts";
import type { Logger } from "../../log/logger.ts";
import type { ClaimScope } from "../../pool/claim.ts";
import { reservationName, scopedReservationName } from "../../pool/names.ts";
import type { WhereaboutsConfig } from "./config.ts";
import type { Journal } from "./journal.ts";
import type { RangePlan } from "./range-plan.ts";

/** Everything that the claims of one ADD have in common. */
export interface ClaimContext {
  readonly pools: Pools;
  readonly config: WhereaboutsConfig;
  readonly journal: Journal;
  /** The network's name in CNI. */
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
  readonly podref: string;
  /** "" when the runtime did not say. */
  readonly podUid: string;
  readonly node: string;
  /** Random text: what carries it, this ADD has made. */
  readonly owner: string;
  readonly log: Logger;
}

/** True when Go code may work on the same objects. */
export function isShared({ config, pools }: ClaimContext): boolean {
  return config.coexists && pools.mayBeShared;
}

/** The scope that the config asks for. */
export function wantedScope({ config }: ClaimContext): "network" | "pool" {
  return config.isOverlapChecked ? "network" : "pool";
}

/** The names that an address is claimed by: that which the config asks for, and behind it the pool's own if that is another one. */
export function namesOf(
  context: ClaimContext,
  range: RangePlan,
  scope: ClaimScope | undefined,
  ip: Ip,
): readonly [string, ...string[]] {
  const ofNetwork = reservationName(ip, context.config.networkName);
  const ofPool = scopedReservationName(range.pool, ip);
  if (wantedScope(context) === "network") return scope === "network" ? [ofNetwork] : [ofNetwork, ofPool];
  return scope === "pool" ? [ofPool] : [ofPool, ofNetwork];
}
