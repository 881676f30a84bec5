import type { IpPool, Reservation } from "../pool/objects.ts";
import { claimFactsOf } from "../pool/claim.ts";
import { parsePoolRange } from "../pool/key.ts";
import { boundsOf, sizeOf, spansOf } from "../pool/spans.ts";
import { type Holding, holdingsOf } from "./holding.ts";
import { planIndex } from "./index-plan.ts";
import type { Survey } from "./survey.ts";
import { findSuspects, type Suspect } from "./verdict.ts";

/** One pool as people look at it. */
export interface PoolRow {
  readonly pool: string;
  readonly range: string;
  /** Addresses that pods may have, exclusions of networks not counted; text, since IPv6 has more than a number holds. */
  readonly size: string;
  readonly used: number;
  readonly free: string;
  /** Held without a holder, as far as one look can tell. */
  readonly leaked: number;
  readonly duplicate: number;
  /** Entries that the map lacks, where somebody keeps it, or shows for nothing. */
  readonly indexLag: number;
}

/** An address that two pods hold. */
export interface Duplicate {
  readonly address: string;
  readonly pool: string;
  readonly holders: readonly Holding[];
}

export interface Overview {
  readonly pools: readonly PoolRow[];
  readonly suspects: readonly Suspect[];
  readonly duplicates: readonly Duplicate[];
  readonly holdings: readonly Holding[];
}

/** Everything that can be told of a survey, pure. Pools that only claims speak of are listed too. */
export function overviewOf(survey: Survey): Overview {
  const holdings = holdingsOf(survey.pools, survey.reservations);
  const suspects = findSuspects(holdings, survey);
  const duplicates = duplicatesOf(holdings);
  const pools = [...survey.pools, ...missingPools(survey)];
  const rows = pools.map((pool) => rowOf(pool, survey, { holdings, suspects, duplicates }));
  return { pools: rows.toSorted((a, b) => (a.pool < b.pool ? -1 : 1)), suspects, duplicates, holdings };
}

/** The size of a pool's range. One that has no address but its first and last is in use with "enable_l3": it would be no pool otherwise. */
function addressesOf(range: string): bigint {
  const network = parsePoolRange(range);
  if (network === undefined) return 0n;
  const isL3 = boundsOf({ network, exclude: [], isL3: false }) === undefined;
  return sizeOf(spansOf({ network, exclude: [], isL3 }));
}

function rowOf(pool: IpPool, survey: Survey, found: Omit<Overview, "pools">): PoolRow {
  const claims = survey.reservations.filter((each) => claimFactsOf(each)?.pool === pool.name);
  const addresses = new Set(found.holdings.filter((each) => each.pool === pool.name).map(({ address }) => address));
  const leaked = new Set(found.suspects.flatMap(({ holding }) => (holding.pool === pool.name ? holding.address : [])));
  const size = addressesOf(pool.range);
  const free = size - BigInt(addresses.size);
  const { changes } = planIndex(pool, claims);
  const behind = survey.isIndexed ? changes : changes.filter(({ op }) => op !== "add");
  return {
    pool: pool.name,
    range: pool.range,
    size: size.toString(),
    used: addresses.size,
    free: (free < 0n ? 0n : free).toString(),
    leaked: leaked.size,
    duplicate: found.duplicates.filter((each) => each.pool === pool.name).length,
    indexLag: behind.length,
  };
}

/** Two pods in one pool with one address. The entry and the reservation of one pod are one holder. */
function duplicatesOf(holdings: readonly Holding[]): Duplicate[] {
  const found: Duplicate[] = [];
  const placed = holdings.filter(({ pool, address }) => pool !== "" && address !== "");
  for (const [place, all] of Map.groupBy(placed, ({ pool, address }) => `${pool} ${address}`)) {
    if (new Set(all.map(({ podref, ifName }) => `${podref} ${ifName}`)).size < 2) continue;
    const [pool = "", address = ""] = place.split(" ");
    found.push({ pool, address, holders: all });
  }
  return found;
}

function missingPools({ pools, reservations }: Survey): IpPool[] {
  const known = new Set(pools.map(({ name }) => name));
  const missing = new Map<string, IpPool>();
  for (const facts of reservations.map((each: Reservation) => claimFactsOf(each))) {
    if (facts === undefined || facts.pool === "" || known.has(facts.pool)) continue;
    const { pool: name, range } = facts;
    missing.set(name, { name, range, uid: "", resourceVersion: "", annotations: {}, allocations: {} });
  }
  return [...missing.values()];
}
