import type { PoolChange, Pools } from "../cluster/pools/port.ts";
import { anyObject } from "../json/struct.ts";
import type { KubeClient } from "../kube/client.ts";
import { isConflict, isNotFound, isUnknownResource } from "../kube/error.ts";
import { reservations } from "../kube/resource.ts";
import {
  allocationOf,
  claimFactsOf,
  containerOfId,
  holdFinalizer,
  isIndexId,
  isSliceId,
  ownerAnnotation,
} from "../pool/claim.ts";
import { makeClaimedPool } from "./claimed-pool.ts";
import { planIndex } from "./index-plan.ts";
import type { IpPool, Reservation } from "../pool/objects.ts";

/** What was given to whereabouts, or taken away since it knows no such thing. */
export interface HandOver {
  readonly pools: number;
  /** Entries of pools that have the bare container id now, by which whereabouts' DEL finds them. */
  readonly entries: number;
  /** Reservations without finalizer and owner now. */
  readonly reservations: number;
  /** Reservations within one pool (overlaps not checked), of which whereabouts knows nothing: the entries hold their addresses. */
  readonly removed: number;
}

/** Entries changed by one request. */
const largestBatch = 500;
/** How often a pool or reservation that changes meanwhile is looked at anew. */
const attempts = 5;

/**
 * Makes everything that is ours in the namespace into what whereabouts itself would have made, so that it can go on where we left, and nothing
 * is stuck when our definitions and programs go. The entries first: from then on they hold their addresses by themselves. What nodes claim
 * meanwhile stays ours: to be called when none of them runs polynic any more, and harmless otherwise. Rejects with `ClusterError` or
 * `KubeError`.
 */
export async function handOver(client: KubeClient, namespace: string, pools: Pools): Promise<HandOver> {
  const sum = { pools: 0, entries: 0, reservations: 0, removed: 0 };
  const claims = await pools.listReservations();
  const byPool = Map.groupBy(claims, (claim) => claimFactsOf(claim)?.pool ?? "");
  for (const pool of await allPools(pools, byPool)) {
    sum.pools++;
    sum.entries += await handOverEntries(pools, pool, byPool.get(pool.name) ?? []);
  }
  for (const each of claims) {
    const facts = claimFactsOf(each);
    if (facts === undefined && !each.finalizers.includes(holdFinalizer)) continue;
    const isScoped = facts !== undefined && each.name.startsWith(`${facts.pool}.`);
    if (isScoped && (await pools.deleteReservation(each.name, each.uid, each.finalizers.includes(holdFinalizer))))
      sum.removed++;
    else if (!isScoped && (await handOverReservation(client, namespace, pools, each))) sum.reservations++;
  }
  return sum;
}

/** Those there are, and those that claims speak of, made where they are missing. */
async function allPools(pools: Pools, claims: ReadonlyMap<string, readonly Reservation[]>): Promise<IpPool[]> {
  const all = await pools.listPools();
  const names = new Set(all.map(({ name }) => name));
  for (const [name, own] of claims) {
    if (name === "" || names.has(name)) continue;
    const made = await makeClaimedPool(pools, name, own);
    if (made !== undefined) all.push(made);
  }
  return all;
}

/** How many entries were changed. */
async function handOverEntries(pools: Pools, first: IpPool, claims: readonly Reservation[]): Promise<number> {
  let done = 0;
  let pool: IpPool | undefined = first;
  for (let failures = 0; failures < attempts && pool !== undefined;) {
    const changes = changesOf(pool, claims).slice(0, largestBatch);
    if (changes.length === 0) break;
    if (await pools.patchPool(pool.name, changes)) done += changes.length;
    else failures++;
    pool = await pools.getPool(pool.name);
  }
  return done;
}

/** What the index lacks is entered, and what it shows without a claim goes: nobody would do so later. */
function changesOf(pool: IpPool, claims: readonly Reservation[]): PoolChange[] {
  const due = planIndex(pool, claims).changes;
  const changes = due.map((change) =>
    change.op === "remove" ? change : { ...change, entry: { ...change.entry, id: containerOfId(change.entry.id) } },
  );
  const planned = new Set(due.map(({ key }) => key));
  for (const key of Object.keys(pool.allocations)) {
    const entry = allocationOf(pool.allocations, key);
    if (entry === undefined || planned.has(key) || !(isIndexId(entry.id) || isSliceId(entry.id))) continue;
    changes.push({ op: "replace", key, id: entry.id, entry: { ...entry, id: containerOfId(entry.id) } });
  }
  return changes;
}

/** False when it is gone, or another one bears the name. One that was deleted goes with its finalizer. */
async function handOverReservation(
  client: KubeClient,
  namespace: string,
  pools: Pools,
  first: Reservation,
): Promise<boolean> {
  const { name, uid } = first;
  let current: Reservation | undefined = first;
  for (let attempt = 0; attempt < attempts && current?.uid === uid; attempt++) {
    const { resourceVersion, finalizers } = current;
    const others = finalizers.filter((each) => each !== holdFinalizer);
    const metadata = { uid, resourceVersion, finalizers: others, annotations: { [ownerAnnotation]: null } };
    try {
      await client.request({ verb: "patch", resource: reservations, namespace, name }, anyObject(), {
        body: { metadata },
        contentType: "application/merge-patch+json",
      });
      return true;
    } catch (error) {
      if (isNotFound(error) && !isUnknownResource(error)) return false;
      if (!isConflict(error)) throw error;
      current = await pools.getReservation(name);
    }
  }
  return false;
}
