import type { Pools } from "../cluster/pools/port.ts";
import { claimFactsOf, claimScope } from "../pool/claim.ts";
import type { IpPool, Reservation } from "../pool/objects.ts";

/**
 * Makes the pool that claims speak of and that does not exist: nodes that claim addresses of their slices leave that to others, and somebody may have
 * deleted it. Undefined when none of the claims says its range. Rejects with `ClusterError`.
 */
export async function makeClaimedPool(
  pools: Pools,
  name: string,
  claims: Iterable<Reservation>,
): Promise<IpPool | undefined> {
  for (const claim of claims) {
    const { range = "" } = claimFactsOf(claim) ?? {};
    // Nobody knows by which names the addresses of a pool that was here before are claimed.
    if (range !== "") return await pools.createPool(name, range, claimScope("both"));
  }
  return undefined;
}
