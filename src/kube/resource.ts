/** A kind of object by its place in the API: /api/v1/… for the core group "", /apis/<group>/<version>/… for the others. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  /** "pods", "network-attachment-definitions": what paths and RBAC rules say. */
  readonly plural: string;
  /** "pod", "network-attachment-definition": what messages say. */
  readonly singular: string;
}

export const pods: Resource = { group: "", version: "v1", plural: "pods", singular: "pod" };

export const nodes: Resource = { group: "", version: "v1", plural: "nodes", singular: "node" };

export const events: Resource = { group: "", version: "v1", plural: "events", singular: "event" };

/** NPWG multi-network spec 1.3, section 3. */
export const networks: Resource = {
  group: "k8s.cni.cncf.io",
  version: "v1",
  plural: "network-attachment-definitions",
  singular: "network-attachment-definition",
};

const allocation = { group: "resource.k8s.io", version: "v1" } as const;

/** Dynamic resource allocation (Kubernetes 1.34 and newer): who has been given which device. */
export const resourceClaims: Resource = { ...allocation, plural: "resourceclaims", singular: "resourceclaim" };

/** The devices that drivers have published. Of no namespace. */
export const resourceSlices: Resource = { ...allocation, plural: "resourceslices", singular: "resourceslice" };

/** What leaders are elected by (coordination.k8s.io/v1). */
export const leases: Resource = {
  group: "coordination.k8s.io",
  version: "v1",
  plural: "leases",
  singular: "lease",
};

const whereabouts = { group: "whereabouts.cni.cncf.io", version: "v1alpha1" } as const;

export const ipPools: Resource = { ...whereabouts, plural: "ippools", singular: "ippool" };

export const reservations: Resource = {
  ...whereabouts,
  plural: "overlappingrangeipreservations",
  singular: "overlappingrangeipreservation",
};

export const nodeSlicePools: Resource = { ...whereabouts, plural: "nodeslicepools", singular: "nodeslicepool" };

/** The words of RBAC (rbac.authorization.k8s.io/v1) for what is done. */
export type RbacVerb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete";

/** What a request is about: the object it is for, and what is done to it. */
export interface Target {
  readonly verb: RbacVerb;
  readonly resource: Resource;
  /** "status" for the part of the object that controllers report in. */
  readonly subresource?: "status";
  /** Absent for a list of all namespaces. */
  readonly namespace?: string;
  /** Absent for lists, and for creating. */
  readonly name?: string;
}

/** A DNS-1123 subdomain: what Kubernetes takes as a name. Anything else might make another path of a request's. */
const validName = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** True for what can be the name of an object, or of a namespace. */
export function isObjectName(text: string): boolean {
  return validName.test(text);
}

/** The path of a request, without a query. Throws `TypeError` for names that are none: callers ask `isObjectName` first. */
export function pathOf({ resource, subresource, namespace, name }: Target): string {
  const { group, version, plural } = resource;
  for (const part of [namespace, name])
    if (part !== undefined && !isObjectName(part)) throw new TypeError(`${JSON.stringify(part)} is no Kubernetes name`);
  return [
    group === "" ? "/api" : `/apis/${group}`,
    version,
    ...(namespace === undefined ? [] : ["namespaces", namespace]),
    plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ].join("/");
}

/** "get pod default/web", "patch status of pod default/web", "list network-attachment-definitions in shop". */
export function describeTarget({ verb, resource, subresource, namespace, name }: Target): string {
  const part = subresource === undefined ? "" : `${subresource} of `;
  if (name !== undefined) return `${verb} ${part}${resource.singular} ${namespace ?? ""}/${name}`;
  if (verb === "create") return `create ${resource.singular} in ${namespace ?? ""}`;
  return `${verb} ${resource.plural} ${namespace === undefined ? "of all namespaces" : `in ${namespace}`}`;
}

/** The rule that a Role or ClusterRole needs for it, as a line of YAML that can be pasted under `rules:`. */
export function ruleFor({ verb, resource, subresource }: Target): string {
  const name = subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`;
  return `- {apiGroups: [${JSON.stringify(resource.group)}], resources: [${JSON.stringify(name)}], verbs: ["${verb}"]}`;
}
