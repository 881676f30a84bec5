import { CniError, code } from "../../cni/error.ts";
import type { Prefix } from "../../ip/prefix.ts";
import { equalPrefix } from "../../ip/prefix.ts";
import type { NetlinkError } from "../../netlink/error.ts";
import type { Netns } from "../../netns/netns.ts";
import { RT_TABLE_DEFAULT, RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_UNSPEC } from "../../rtnl/constants.ts";
import type { Link } from "../../rtnl/link.ts";
import { addRoute, deleteRoute, listRoutes, type Route, type RouteSpec } from "../../rtnl/route.ts";
import { listRules, type Rule } from "../../rtnl/rule.ts";
import { explain } from "../common/explain.ts";

// Two calls may look for free tables in one namespace at the same time. What keeps them apart is the kernel itself: a table is claimed by a
// route that only one can make (NLM_F_EXCL). A lock on the namespace's file would be one that any process of the pod could hold.

const firstTable = 100;
/** Nobody's destination; and the last of all metrics, so that it is in nobody's way. */
const claimDestination: Prefix = { ip: { family: 4, value: 0n }, bits: 32 };
const claimMetric = 0xffff_ffff;
const attemptsMax = 100;

/** Tables that are ours alone, as long as the claim on them stays or a rule leads there. */
export interface Claim {
  readonly tables: readonly number[];
  /** The routes of the whole namespace, as listed under the claim. */
  readonly routes: readonly Route[];
}

/**
 * Claims `count` tables, the first from 100 on that no rule leads to and that no route of any family is in. The claim goes away with the
 * interface. Throws `CniError`: code 11 when others are quicker time and again.
 */
export function claimTables(pod: Netns, link: Link, count: number): Claim {
  let candidates: readonly number[] = freeTables(new Set(), count);
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const errors = pod.rtnl.batch(candidates.map((table) => addRoute(claimOn(link, table))));
    const claimed = candidates.filter((_, at) => errors[at] === undefined);
    // Listed under the claim: whoever had the table before has its rule there by now.
    const routes = listRoutes(pod.rtnl);
    const occupied = occupiedTables(
      listRules(pod.rtnl),
      routes,
      (route) => isClaim(route, link) && claimed.includes(route.table),
    );
    if (claimed.length === count && !claimed.some((table) => occupied.has(table))) return { tables: claimed, routes };
    release(pod, link, claimed);
    refuseFailure(link, errors);
    candidates = freeTables(occupied, count);
  }
  throw new CniError(
    code.tryAgainLater,
    `no routing table could be claimed for ${link.name}: others took them ${attemptsMax} times`,
  );
}

/** The requests that end a claim. */
export function unclaim(link: Link, tables: readonly number[]) {
  return tables.map((table) => deleteRoute(claimOn(link, table)));
}

/** Ends a claim, whatever is left of it. */
export function release(pod: Netns, link: Link, tables: readonly number[]): void {
  pod.rtnl.batch(unclaim(link, tables));
}

/** True for the claim of an interface on a table: one that was killed leaves it. */
export function isClaim(route: Route, link: Link): boolean {
  return (
    route.device === link.index && route.metric === claimMetric && equalPrefix(route.destination, claimDestination)
  );
}

/** The tables that rules lead to, that have routes, or that are the kernel's own. */
export function occupiedTables(
  rules: readonly Rule[],
  routes: readonly Route[],
  isOwnClaim: (route: Route) => boolean,
): Set<number> {
  const occupied = new Set([RT_TABLE_UNSPEC, RT_TABLE_DEFAULT, RT_TABLE_MAIN, RT_TABLE_LOCAL]);
  for (const { table } of rules) if (table !== undefined) occupied.add(table);
  for (const route of routes) if (!isOwnClaim(route)) occupied.add(route.table);
  return occupied;
}

/** The first `count` tables from 100 on that are not occupied. */
export function freeTables(occupied: ReadonlySet<number>, count: number): number[] {
  const free: number[] = [];
  for (let table = firstTable; free.length < count; table++) if (!occupied.has(table)) free.push(table);
  return free;
}

function claimOn(link: Link, table: number): RouteSpec {
  return { destination: claimDestination, device: link, table, metric: claimMetric };
}

/** A table that is taken is no failure. */
function refuseFailure(link: Link, errors: readonly (NetlinkError | undefined)[]): void {
  for (const error of errors) {
    if (error === undefined || error.code === "EEXIST") continue;
    throw explain(`failed to claim a routing table for "${link.name}"`, error, {
      ENETDOWN: `${link.name} is down: sbr stands behind the plugin that gives it addresses and brings it up`,
    });
  }
}
