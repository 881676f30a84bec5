import type { Ip } from "../ip/address.ts";
import { formatPrefix, networkOf, overlaps, parsePrefix, type Prefix } from "../ip/prefix.ts";

/** An entry of a NodeSlicePool's status.allocations. */
export interface SliceAllocation {
  /** "" for a slice that nobody has. */
  readonly nodeName: string;
  readonly sliceRange: string;
}

/** How a network's range is divided. */
export interface SliceLayout {
  readonly range: Prefix;
  /** Prefix length of a slice. */
  readonly sliceBits: number;
  /** Slices without an address that pods may have are given to nobody. */
  readonly usable: (slice: Prefix) => number;
}

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
  /** Nodes for which no slice is left. */
  readonly without: readonly string[];
}

/** A NodeSlicePool of more slices comes near the size that an API server stores (1.5 MiB). */
export const mostSlices = 8192;
/** A node whose slices are held to this part gets one more. */
const fullShare = 0.9;
/** How long a slice that has lost its node rests: a node may believe for a minute what it was told of its slices. */
export const restMs = 120_000;
/** No node's name has it, so that no node takes the slice for its own. */
const formerMark = "~";

/**
 * Who has which slice from now on, pure: nodes in the order of their names get the lowest slices that are free. A slice with held
 * addresses is never taken away and never overlapped, whatever became of its node and of the range: it stays listed until its pool is
 * empty, and it has been without a node for a while. A node of the same name but another uid is another machine: while its predecessor's slice has held addresses it gets a slice of its own,
 * and the old one is listed as `<name>~<uid>`. A node whose slices are nearly full gets another one. Throws `RangeError` for a layout that
 * makes no slices, or too many.
 */
export function planSlices(layout: SliceLayout, nodes: readonly SliceNode[], state: SliceState): SlicePlan {
  const all = divide(layout);
  const ranges = new Set(all.map(formatPrefix));
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const kept = state.allocations.flatMap((allocation) => keep(allocation, ranges, byName, state));
  const taken = kept.map(({ sliceRange }) => parsePrefix(sliceRange)).filter((prefix) => prefix !== undefined);
  const free = all.filter((slice) => layout.usable(slice) > 0 && !taken.some((other) => overlaps(slice, other)));
  const without: string[] = [];
  const given: SliceAllocation[] = [];
  for (const { name } of nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    // What is left of another range is not allocated from any more.
    const own = kept.filter(({ nodeName, sliceRange }) => nodeName === name && ranges.has(sliceRange));
    if (!isNearlyFull(own, layout, state)) continue;
    const slice = free.shift();
    if (slice !== undefined) given.push({ nodeName: name, sliceRange: formatPrefix(slice) });
    else if (own.length === 0) without.push(name);
  }
  const owned = new Map([...kept, ...given].map((allocation) => [allocation.sliceRange, allocation]));
  const left = new Set(free.map(formatPrefix));
  // In the order of the range, as Go's controller lists them; what is left of another range stands behind it.
  const listed = new Set(all.map(formatPrefix).filter((range) => owned.has(range) || left.has(range)));
  const allocations = [
    ...[...listed].map((sliceRange) => owned.get(sliceRange) ?? { nodeName: "", sliceRange }),
    ...kept.filter(({ sliceRange }) => !listed.has(sliceRange)),
  ];
  const vacatedMs = vacatedOf(allocations, ranges, byName, state);
  return { allocations, owners: ownersOf(allocations, byName, state), vacatedMs, without };
}

/** What stays of an allocation: itself, itself under the name of a former node, or nothing. */
function keep(
  allocation: SliceAllocation,
  ranges: ReadonlySet<string>,
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
  const isInUse = node !== undefined && ranges.has(sliceRange);
  const hasRested = state.nowMs - (state.vacatedMs[sliceRange] ?? state.nowMs) >= restMs;
  return hasHeld || isInUse || !hasRested ? [allocation] : [];
}

/** Of the slices that stay without a node: when that began. */
function vacatedOf(
  allocations: readonly SliceAllocation[],
  ranges: ReadonlySet<string>,
  nodes: ReadonlyMap<string, SliceNode>,
  { vacatedMs, nowMs }: SliceState,
): Record<string, number> {
  const vacated: Record<string, number> = {};
  for (const { nodeName, sliceRange } of allocations) {
    const isInUse = nodes.has(nodeName) && ranges.has(sliceRange);
    if (nodeName !== "" && !isInUse) vacated[sliceRange] = vacatedMs[sliceRange] ?? nowMs;
  }
  return vacated;
}

/** True for no slices at all. */
function isNearlyFull(own: readonly SliceAllocation[], { usable }: SliceLayout, { held }: SliceState): boolean {
  let room = 0;
  let used = 0;
  for (const allocation of own) {
    const slice = parsePrefix(allocation.sliceRange);
    room += slice === undefined ? 0 : usable(slice);
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

/** All slices of the layout in order. */
function divide({ range, sliceBits }: SliceLayout): Prefix[] {
  const network = networkOf(range);
  const width = network.ip.family === 4 ? 32 : 128;
  if (sliceBits < network.bits || sliceBits > width)
    throw new RangeError(
      `node_slice_size /${sliceBits} does not divide ${formatPrefix(network)}: expected /${network.bits} to /${width}`,
    );
  if (sliceBits - network.bits > Math.log2(mostSlices))
    throw new RangeError(
      `node_slice_size /${sliceBits} makes more than ${mostSlices} slices of ${formatPrefix(network)}; use a larger slice`,
    );
  const size = 1n << BigInt(width - sliceBits);
  return Array.from({ length: 2 ** (sliceBits - network.bits) }, (_, index) => {
    const ip: Ip = { family: network.ip.family, value: network.ip.value + BigInt(index) * size };
    return { ip, bits: sliceBits };
  });
}
