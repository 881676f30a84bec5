import { anyObject, array, type Infer, mapOf, optional, struct, text } from "../json/struct.ts";
import type { JsonObject } from "../json/value.ts";

/** Who holds an address, as whereabouts keeps it in `spec.allocations` under the address's key. */
export interface Allocation {
  /** The container id; `indexId` says which entries are no more than an index. */
  readonly id: string;
  /** namespace/name of the pod. */
  readonly podref: string;
  readonly ifname: string;
}

/** Of all these objects. */
export const poolApiVersion = "whereabouts.cni.cncf.io/v1alpha1";

/** An IPPool. */
export interface IpPool {
  readonly name: string;
  /** `spec.range` as it stands; `parsePoolRange` reads it. */
  readonly range: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** `spec.allocations` as it stands, by key; `allocationOf` reads an entry. */
  readonly allocations: JsonObject;
}

/** An OverlappingRangeIPReservation: who holds the address that it is named after. */
export interface Reservation {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly finalizers: readonly string[];
  /** RFC 3339; "" when the server did not say. */
  readonly createdAt: string;
  /** Somebody has deleted it, and a finalizer keeps it: it holds the address all the same. */
  readonly isTerminating: boolean;
  /** namespace/name of the pod. */
  readonly podref: string;
  /** "" in those of whereabouts. */
  readonly containerId: string;
  readonly ifName: string;
}

/** A NodeSlicePool: which node gives out addresses from which part of a range. */
export interface NodeSlicePool {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly range: string;
  readonly sliceSize: string;
  /** `nodeName` is "" for a slice that nobody has. */
  readonly slices: readonly { readonly nodeName: string; readonly sliceRange: string }[];
}

const metadata = {
  name: text(),
  uid: optional(text(), ""),
  resourceVersion: optional(text(), ""),
  labels: optional(mapOf(text()), {}),
  annotations: optional(mapOf(text()), {}),
  finalizers: optional(array(text()), []),
  creationTimestamp: optional(text(), ""),
  deletionTimestamp: optional(text(), ""),
};

/** For objects of which only `metadata` matters, or was sent. */
export const metadataSchema = struct({ metadata: struct(metadata) });

export const ipPoolSchema = struct({
  metadata: struct(metadata),
  spec: optional(struct({ range: optional(text(), ""), allocations: optional(anyObject(), {}) }), {}),
});

export const reservationSchema = struct({
  metadata: struct(metadata),
  spec: optional(
    struct({
      podref: optional(text(), ""),
      containerid: optional(text(), ""),
      ifname: optional(text(), ""),
    }),
    {},
  ),
});

export const nodeSlicePoolSchema = struct({
  metadata: struct(metadata),
  spec: optional(struct({ range: optional(text(), ""), sliceSize: optional(text(), "") }), {}),
  status: optional(
    struct({
      allocations: optional(array(struct({ nodeName: optional(text(), ""), sliceRange: optional(text(), "") })), []),
    }),
    {},
  ),
});

const allocationSchema = struct({
  id: optional(text(), ""),
  podref: optional(text(), ""),
  ifname: optional(text(), ""),
});

/** An entry of `spec.allocations`, for `decode`. */
export { allocationSchema };

/** The object as the port gives it. */
export function ipPoolOf({
  metadata: { name, uid, resourceVersion, annotations },
  spec,
}: Infer<typeof ipPoolSchema>): IpPool {
  return { name, uid, resourceVersion, annotations, range: spec.range, allocations: spec.allocations };
}

/** The object as the port gives it. */
export function reservationOf({ metadata, spec }: Infer<typeof reservationSchema>): Reservation {
  const { name, uid, resourceVersion, labels, annotations, finalizers } = metadata;
  return {
    name,
    uid,
    resourceVersion,
    labels,
    annotations,
    finalizers,
    createdAt: metadata.creationTimestamp,
    isTerminating: metadata.deletionTimestamp !== "",
    podref: spec.podref,
    containerId: spec.containerid,
    ifName: spec.ifname,
  };
}

/** The object as the port gives it. */
export function nodeSlicePoolOf({ metadata, spec, status }: Infer<typeof nodeSlicePoolSchema>): NodeSlicePool {
  const { name, uid, resourceVersion, annotations } = metadata;
  return { name, uid, resourceVersion, annotations, ...spec, slices: status.allocations };
}
