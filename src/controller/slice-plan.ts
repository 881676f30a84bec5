import { formatPrefix, type Prefix, parsePrefix } from "../ip/prefix.ts";
import { freeSlices, isSliceOf, type SliceAllocation, type SliceLayout, usableIn } from "./free-slices.ts";

export interface SliceNode {
  readonly name: string;
  readonly uid: string;
}

/** What is known of the slices when they are planned. */
export interface SliceState {
  readonly allocations: readonly SliceAllocation[];
  /** The uid that each node had when it got its slices, by its name; empty for what Go's controller has assigned. */
  readonly owners: Readonly<Record<string, string>>;
  /** Addresses of a slice that are held: what its pool shows. */
  readonly held: (allocation: SliceAllocation) => number;
  /** Since when slices have had no node that may allocate from them, in ms, by their ranges. */
  readonly vacatedMs: Readonly<Record<string, number>>;
  readonly nowMs: number;
}

export interface SlicePlan {
  readonly allocations: readonly SliceAllocation[];
  readonly owners: Readonly<Record<string, string>>;
  readonly vacatedMs: Readonly<Record<string, number>>;
  /** Nodes that have no slice of a range, since none is left. */
  readonly without: readonly { readonly node: string; readonly range: Prefix }[];
}

/** A NodeSlicePool that lists more slices comes near the size that an API server stores (1.5 MiB). */
export const mostSlices = 8192;
/** A node whose slices are held to this part gets one more. */
const fullShare = 0.9;
/** How long a slice that has lost its node rests: a node may believe for a minute what it was told of its slices. */
export const restMs = 120_000;
/** No node's name has it, so that no node takes the slice for its own. */
const formerMark = "~";

/**
 * Who has which slice of a network's ranges from now on, pure: nodes in the order of their names get the lowest slices that are free, of each range one. A
 * slice with held addresses is never taken away and never overlapped, whatever became of its node and of the range: it stays listed until its pool is
 * empty, and it has been without a node for a while. A node of the same name but another uid is another machine: while its predecessor's slice has held
 * addresses it gets a slice of its own, and the old one is listed as `<name>~<uid>`. A node whose slices of a range are nearly full gets another one.
 *
 * The list begins with the first range in its order, free slices among them, as Go's controller lists it: Go's plugin takes the first slice that it finds
 * under its node's name for one of the first range, and Go's controller gives new nodes what it finds free. So a node that has no slice of the first range
 * gets none of the others, and what is free of those is not listed.
 */
export function planSlices(layouts: readonly SliceLayout[], nodes: readonly SliceNode[], state: SliceState): SlicePlan {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const assigned = state.allocations.flatMap((allocation) => keep(allocation, layouts, byName, state));
  const without = assign(assigned, layouts, nodes, state);
  const allocations = inOrder(assigned, layouts);
  const vacatedMs = vacatedOf(allocations, layouts, byName, state);
  return { allocations, owners: ownersOf(allocations, byName, state), vacatedMs, without };
}

/** Adds what nodes need to what is assigned. */
function assign(
  assigned: SliceAllocation[],
  layouts: readonly SliceLayout[],
  nodes: readonly SliceNode[],
  state: SliceState,
): SlicePlan["without"] {
  const ofNode = Map.groupBy(assigned, ({ nodeName }) => nodeName);
  const without = new Map<string, SlicePlan["without"][number]>();
  const sorted = nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  for (const layout of layouts) {
    const free = freeSlices(layout, assigned);
    for (const { name } of sorted) {
      const all = ofNode.get(name) ?? [];
      // What is left of another range is not allocated from any more.
      const own = all.filter((allocation) => isSliceOf(layout, allocation));
      if (without.has(name) || !isNearlyFull(own, layout, state)) continue;
      const slice = assigned.length < mostSlices ? free.next().value : undefined;
      if (slice === undefined) {
        if (own.length === 0) without.set(name, { node: name, range: layout.range });
        continue;
      }
      const given = { nodeName: name, sliceRange: formatPrefix(slice) };
      assigned.push(given);
      ofNode.set(name, [...all, given]);
    }
  }
  return [...without.values()];
}

/** The ranges one after the other, free slices of the first one included; what is left of another range or size stands behind them. */
function inOrder(assigned: readonly SliceAllocation[], layouts: readonly SliceLayout[]): SliceAllocation[] {
  const listed: SliceAllocation[] = [];
  let rest = assigned;
  for (const [index, layout] of layouts.entries()) {
    const those = rest.filter((allocation) => isSliceOf(layout, allocation));
    rest = rest.filter((allocation) => !isSliceOf(layout, allocation));
    const free = index === 0 ? freeOf(layout, assigned) : [];
    listed.push(...[...those, ...free].toSorted(byAddress));
  }
  return [...listed, ...rest];
}

/** None of a range that has more slices than could be listed. */
function freeOf(layout: SliceLayout, assigned: readonly SliceAllocation[]): SliceAllocation[] {
  const found: SliceAllocation[] = [];
  if (layout.sliceBits - layout.range.bits > Math.log2(mostSlices)) return found;
  for (const slice of freeSlices(layout, assigned)) {
    if (assigned.length + found.length >= mostSlices) break;
    found.push({ nodeName: "", sliceRange: formatPrefix(slice) });
  }
  return found;
}

function byAddress(a: SliceAllocation, b: SliceAllocation): number {
  const [one, other] = [parsePrefix(a.sliceRange)?.ip.value ?? 0n, parsePrefix(b.sliceRange)?.ip.value ?? 0n];
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function isOfAny(layouts: readonly SliceLayout[], allocation: SliceAllocation): boolean {
  return layouts.some((layout) => isSliceOf(layout, allocation));
}

/** What stays of an allocation: itself, itself under the name of a former node, or nothing. */
function keep(
  allocation: SliceAllocation,
  layouts: readonly SliceLayout[],
  nodes: ReadonlyMap<string, SliceNode>,
  state: SliceState,
): SliceAllocation[] {
  const { nodeName, sliceRange } = allocation;
  if (nodeName === "") return [];
  const hasHeld = state.held(allocation) > 0;
  const node = nodes.get(nodeName);
  const owner = state.owners[nodeName];
  if (node !== undefined && owner !== undefined && owner !== node.uid && hasHeld)
    return [{ nodeName: `${nodeName}${formerMark}${owner}`, sliceRange }];
  const isInUse = node !== undefined && isOfAny(layouts, allocation);
  const hasRested = state.nowMs - (state.vacatedMs[sliceRange] ?? state.nowMs) >= restMs;
  return hasHeld || isInUse || !hasRested ? [allocation] : [];
}

/** Of the slices that stay without a node: when that began. */
function vacatedOf(
  allocations: readonly SliceAllocation[],
  layouts: readonly SliceLayout[],
  nodes: ReadonlyMap<string, SliceNode>,
  { vacatedMs, nowMs }: SliceState,
): Record<string, number> {
  const vacated: Record<string, number> = {};
  for (const allocation of allocations) {
    const { nodeName, sliceRange } = allocation;
    const isInUse = nodes.has(nodeName) && isOfAny(layouts, allocation);
    if (nodeName !== "" && !isInUse) vacated[sliceRange] = vacatedMs[sliceRange] ?? nowMs;
  }
  return vacated;
}

/** True for no slices at all. */
function isNearlyFull(own: readonly SliceAllocation[], layout: SliceLayout, { held }: SliceState): boolean {
  let room = 0;
  let used = 0;
  for (const allocation of own) {
    const slice = parsePrefix(allocation.sliceRange);
    room += slice === undefined ? 0 : usableIn(layout, slice);
    used += held(allocation);
  }
  return used >= room * fullShare;
}

/** Of the nodes that have slices, gone ones with held addresses among them; a former node's uid is in its name. */
function ownersOf(
  allocations: readonly SliceAllocation[],
  nodes: ReadonlyMap<string, SliceNode>,
  state: SliceState,
): Record<string, string> {
  const owners: Record<string, string> = {};
  for (const { nodeName } of allocations) {
    const uid = nodes.get(nodeName)?.uid ?? state.owners[nodeName];
    if (uid !== undefined) owners[nodeName] = uid;
  }
  return owners;
}
