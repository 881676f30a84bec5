import type { NodeFacts, PodFacts } from "./facts.ts";
import type { Holding } from "./holding.ts";

/** What holdings are judged by. */
export interface Evidence {
  readonly pods: ReadonlyMap<string, PodFacts>;
  /** There may be pods that nobody tells of: that one is missing proves nothing. */
  readonly isPartial?: boolean;
  /** Undefined where nodes can't be read. */
  readonly nodes: ReadonlyMap<string, NodeFacts> | undefined;
}

/** A holding that nobody seems to use any more. */
export interface Suspect {
  readonly holding: Holding;
  /** "pod default/web is gone", for people. */
  readonly reason: string;
  /** Needs no second look: whoever held it has said himself that he does no more. */
  readonly isCertain: boolean;
}

/**
 * Which holdings have lost their holder, pure. The pod is asked for by name, uid and phase, its node for whether a sandbox may still run there; what a
 * network-status says only counts to tell the older one of two holdings of one interface. A node that is there but not ready is given the
 * benefit of the doubt: its pods may be gone from the API and run on.
 */
export function findSuspects(holdings: readonly Holding[], evidence: Evidence): Suspect[] {
  const siblings = Map.groupBy(holdings, interfaceOf);
  const shown = new Set(holdings.filter(({ kind }) => kind === "entry").map(placeOf));
  const suspects: Suspect[] = [];
  for (const holding of holdings) {
    if (holding.isReleasable) {
      suspects.push({ holding, reason: "its attachment is gone, and its time of rest is over", isCertain: true });
      continue;
    }
    const reason =
      lostPod(holding, evidence) ?? replaced(holding, siblings.get(interfaceOf(holding)) ?? [], shown, evidence);
    if (reason !== undefined) suspects.push({ holding, reason, isCertain: false });
  }
  return suspects;
}

function interfaceOf({ podref, ifName }: Holding): string {
  return `${podref} ${ifName}`;
}

function placeOf({ podref, address }: Holding): string {
  return `${podref} ${address}`;
}

/** Why the pod can't be using it; undefined when it may. */
function lostPod(holding: Holding, { pods, nodes, isPartial = false }: Evidence): string | undefined {
  const { podref, podUid } = holding;
  const pod = pods.get(podref);
  if (pod === undefined && isPartial) return undefined;
  const reason = whyLost(podref, podUid, pod);
  if (reason === undefined || nodes === undefined) return reason;
  const name = holding.node === "" ? (pod?.node ?? "") : holding.node;
  if (name === "") return reason;
  const node = nodes.get(name);
  if (node === undefined) return `${reason}, and so is node ${name}`;
  return node.isReady || node.isOutOfService ? reason : undefined;
}

function whyLost(podref: string, podUid: string, pod: PodFacts | undefined): string | undefined {
  if (!/^[^/]+\/[^/]+$/.test(podref)) return undefined;
  if (pod === undefined) return `pod ${podref} is gone`;
  if (podUid !== "" && !pod.isStatic && podUid !== pod.uid) return `pod ${podref} is another one now`;
  const isOver = pod.phase === "Succeeded" || pod.phase === "Failed";
  return isOver && pod.hasSandbox !== true ? `pod ${podref} has ended (${pod.phase})` : undefined;
}

/**
 * Of two holdings of one interface in one pool the older one, which the pod's status does not show; and a reservation that no pool knows of. Only
 * while the pod's sandbox stands: until then the status may be the last one's.
 */
function replaced(
  holding: Holding,
  siblings: readonly Holding[],
  shown: ReadonlySet<string>,
  { pods }: Evidence,
): string | undefined {
  const { podref, ifName, address, kind } = holding;
  const pod = pods.get(podref);
  const own = pod?.addresses.get(ifName);
  if (pod?.phase !== "Running" || pod.hasSandbox === false) return undefined;
  if (own === undefined || own.size === 0 || address === "" || own.has(address)) return undefined;
  const current = siblings.find((other) => own.has(other.address) && isRival(holding, other));
  if (current !== undefined) return `pod ${podref} has ${current.address} on ${ifName} now`;
  if (kind !== "reservation" || shown.has(placeOf(holding))) return undefined;
  return `no pool shows it, and pod ${podref} has other addresses on ${ifName}`;
}

/** Both would be the interface's address of the same pool, and the other one is no older. */
function isRival(holding: Holding, other: Holding): boolean {
  return (
    holding.id !== other.id &&
    holding.pool === other.pool &&
    holding.kind === other.kind &&
    holding.address.includes(":") === other.address.includes(":") &&
    holding.since <= other.since
  );
}
