import { JsonError } from "../json/error.ts";
import { decode } from "../json/struct.ts";
import type { JsonObject } from "../json/value.ts";
import { type Allocation, allocationSchema, type IpPool, type Reservation } from "./objects.ts";

/** On every claim of ours: what else lies in the namespace is whereabouts' own. */
const managedBy = { "app.kubernetes.io/managed-by": "polynic" };
/** The container id as far as a label takes it, see `containerLabelValue`: DEL without a journal finds its claims by it. */
export const containerLabel = "polynic.io/container";
/** Random text of the ADD that made the claim: who finds it on an object knows that his own request made it. */
export const ownerAnnotation = "polynic.io/owner";
const poolAnnotation = "polynic.io/pool";
const rangeAnnotation = "polynic.io/range";
const addressAnnotation = "polynic.io/address";
const nodeAnnotation = "polynic.io/node";
const podUidAnnotation = "polynic.io/pod-uid";
const interfaceAnnotation = "polynic.io/interface";
const scopeAnnotation = "polynic.io/claims";
const entryAnnotation = "polynic.io/entry";
const releaseAfterAnnotation = "polynic.io/release-after";

const enteredByNode = "node";

/** What a claim says besides who holds it; "" for what is not known. */
export interface ClaimFacts {
  /** The IPPool that the address was taken from. */
  readonly pool: string;
  /** `spec.range` of that pool, by which an index can make it anew. */
  readonly range: string;
  /** The address itself: the object's name may hold more than that. */
  readonly address: string;
  readonly node: string;
  /** Of the pod that holds it. */
  readonly podUid: string;
  /** In the pod. Older definitions of the object have no field for it. */
  readonly ifName: string;
  /** The node puts the entry into the pool itself, and takes it out. */
  readonly isEntered?: boolean;
}

/**
 * Keeps a claim in place while code that deletes reservations without looking whose they are still runs in the cluster: its DELETE only
 * marks the object.
 */
export const holdFinalizer = "ipam.polynic.io/hold";

const indexPrefix = "polynic:";
const slicePrefix = "polynic-slice:";
/** Characters of the random text of an ADD that tell its entries from those of others for the same container. */
const tagLength = 8;

/**
 * `id` of a pool's entry that only shows a claim: the claim is the truth, and where there is none the address is free, whatever the entry
 * says. Whereabouts never looks at the ids of others, and writes its own in place of ours when it takes an entry over: so the entry tells by itself
 * whose it is. `owner` is the random text of the claim if its node enters it itself: such an entry goes some time after its claim, and by then the same
 * container may have claimed the address anew.
 */
export function indexId(containerId: string, owner = ""): string {
  return indexPrefix + containerId + (owner === "" ? "" : `:${owner.slice(0, tagLength)}`);
}

/** The `id` of the entry that shows a claim. */
export function entryIdOf(claim: Pick<Reservation, "annotations" | "containerId">): string {
  const isEntered = claimFactsOf(claim)?.isEntered === true;
  return indexId(claim.containerId, isEntered ? claim.annotations[ownerAnnotation] : "");
}

/** True for an entry of a claim whose node enters it, and takes it out, itself. */
export function isEnteredId(id: string): boolean {
  return isIndexId(id) && id.includes(":", indexPrefix.length);
}

/** True for an entry that shows a claim; false for one that holds the address itself, as whereabouts' do. */
export function isIndexId(id: string): boolean {
  return id.startsWith(indexPrefix);
}

/**
 * `id` of an entry in the pool of a node's slice: the node holds the address by a file of its own, and the entry is all that others see of it. Only
 * that node writes and removes such entries.
 */
export function sliceId(containerId: string): string {
  return slicePrefix + containerId;
}

/** True for an entry that a node has made for an address of its slice. */
export function isSliceId(id: string): boolean {
  return id.startsWith(slicePrefix);
}

/** The container id of a pool's entry of any kind. */
export function containerOfId(id: string): string {
  if (isIndexId(id)) return id.slice(indexPrefix.length).replace(/:.*/, "");
  return isSliceId(id) ? id.slice(slicePrefix.length) : id;
}

/** An entry of the pool; undefined when there is none under the key. One that can't be understood holds its address for nobody known. */
export function allocationOf(allocations: JsonObject, key: string): Allocation | undefined {
  const value = Object.hasOwn(allocations, key) ? allocations[key] : undefined;
  if (value === undefined) return undefined;
  try {
    return decode(allocationSchema, value);
  } catch (error) {
    if (error instanceof JsonError) return { id: "", podref: "", ifname: "" };
    throw error;
  }
}

/** True when an entry that is no index of a claim stands under the key: then the address is taken though no claim may exist. */
export function isHeldByEntry({ allocations }: IpPool, key: string): boolean {
  const entry = allocationOf(allocations, key);
  return entry !== undefined && !isIndexId(entry.id);
}

/**
 * By which names the addresses of a pool are claimed: of the address in the whole network (overlapping ranges are checked), of the address in
 * the pool alone, or always both. It is settled before anything of ours is claimed in a pool, and stays; who wants the other name takes both, so that any two claims
 * of an address in the pool have a name in common.
 */
export type ClaimScope = "network" | "pool" | "both";

/** True when it is settled: not yet for a pool that whereabouts made, as long as none of ours has claimed anything in it. */
export function hasClaimScope({ annotations }: Pick<IpPool, "annotations">): boolean {
  return annotations[scopeAnnotation] !== undefined;
}

/** What is settled for a pool; "network" where nothing is yet. */
export function claimScopeOf({ annotations }: Pick<IpPool, "annotations">): ClaimScope {
  const scope = annotations[scopeAnnotation] ?? "network";
  return scope === "network" || scope === "pool" ? scope : "both";
}

/** The annotation that settles it. */
export function claimScope(scope: ClaimScope): IpPool["annotations"] {
  return { [scopeAnnotation]: scope };
}

/** The labels and annotations of a claim. */
export function claimMetadata(
  { pool, range, address, node, podUid, ifName, isEntered = false }: ClaimFacts,
  containerId: string,
): Pick<Reservation, "labels" | "annotations"> {
  return {
    labels: { ...managedBy, [containerLabel]: containerLabelValue(containerId) },
    annotations: {
      [poolAnnotation]: pool,
      [rangeAnnotation]: range,
      [addressAnnotation]: address,
      [nodeAnnotation]: node,
      [podUidAnnotation]: podUid,
      [interfaceAnnotation]: ifName,
      ...(isEntered ? { [entryAnnotation]: enteredByNode } : {}),
    },
  };
}

/** What a reservation says of itself; undefined for one that is not ours. */
export function claimFactsOf({ annotations }: Pick<Reservation, "annotations">): ClaimFacts | undefined {
  if (annotations[ownerAnnotation] === undefined) return undefined;
  return {
    pool: annotations[poolAnnotation] ?? "",
    range: annotations[rangeAnnotation] ?? "",
    address: annotations[addressAnnotation] ?? "",
    node: annotations[nodeAnnotation] ?? "",
    podUid: annotations[podUidAnnotation] ?? "",
    ifName: annotations[interfaceAnnotation] ?? "",
    isEntered: annotations[entryAnnotation] === enteredByNode,
  };
}

/** The annotation of a claim whose attachment is gone, and whose address may be given back from then on (`release_delay_seconds`). */
export function releaseAfter(time: Date): Reservation["annotations"] {
  return { [releaseAfterAnnotation]: time.toISOString() };
}

/** True for a claim that may be given back now, since its attachment is gone and it has waited long enough. */
export function isReleasable({ annotations }: Pick<Reservation, "annotations">, now: Date): boolean {
  const time = annotations[releaseAfterAnnotation];
  return time !== undefined && Date.parse(time) <= now.getTime();
}

/** A container id as the value of a label: at most 63 characters, the last one a letter or digit. */
export function containerLabelValue(containerId: string): string {
  return containerId.slice(0, 63).replace(/[^A-Za-z0-9]+$/, "");
}
