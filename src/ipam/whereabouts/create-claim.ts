import { parsePrefix, formatPrefix, type Prefix } from "../../ip/prefix.ts";
import { formatIp } from "../../ip/address.ts";
import { claimMetadata, holdFinalizer } from "../../pool/claim.ts";
import type { ClaimContext } from "./claim-context.ts";
import type { MadeClaim } from "./drop.ts";
import type { JournalClaim } from "./journal.ts";

/** The pool that an address is taken from. */
export interface PoolOfClaim {
  readonly pool: string;
  readonly network: Prefix;
}

/**
 * Creates the reservation of a claim, journaled before and after; undefined when somebody else has the name. When the outcome is not heard of,
 * `ClusterError` is thrown, and the journal goes on naming the claim. `isEntered`: this node enters it into the pool itself.
 */
export async function createClaim(
  { pools, journal, containerId, ifName, podref, podUid, node, owner }: ClaimContext,
  claim: JournalClaim,
  { pool, network }: PoolOfClaim,
  isEntered = false,
): Promise<MadeClaim | undefined> {
  const address = formatIp(parsePrefix(claim.address)!.ip);
  const facts = { pool, range: formatPrefix(network), address, node, podUid, ifName, isEntered };
  journal.intend(claim);
  const uid = await pools.createReservation({
    name: claim.name,
    owner,
    ...claimMetadata(facts, containerId),
    finalizers: claim.hasFinalizer ? [holdFinalizer] : [],
    podref,
    containerId,
    ifName,
  });
  if (uid === undefined) {
    journal.gone(claim.name);
    return undefined;
  }
  journal.made(claim.name, uid);
  return { ...claim, uid };
}
