import { anyObject, anyValue, array, optional, type Schema, struct, text } from "../../json/struct.ts";
import type { JsonObject, JsonValue } from "../../json/value.ts";
import type { Access } from "../../kube/access.ts";
import { KubeClient, type RequestOptions } from "../../kube/client.ts";
import { Connection } from "../../kube/connection.ts";
import { isAlreadyExists, isConflict, isExpired, isNotFound, isUnknownResource, KubeError } from "../../kube/error.ts";
import { readKubeconfig } from "../../kube/kubeconfig.ts";
import { list } from "../../kube/list.ts";
import { ipPools, isObjectName, nodeSlicePools, type Resource, reservations } from "../../kube/resource.ts";
import { userAgent } from "../../kube/user-agent.ts";
import type { Logger } from "../../log/logger.ts";
import { allocationOf, holdFinalizer, ownerAnnotation } from "../../pool/claim.ts";
import {
  type IpPool,
  ipPoolOf,
  ipPoolSchema,
  metadataSchema,
  type NodeSlicePool,
  nodeSlicePoolOf,
  nodeSlicePoolSchema,
  type Reservation,
  reservationOf,
  reservationSchema,
  poolApiVersion,
} from "../../pool/objects.ts";
import { toClusterError } from "../api-error.ts";
import type { Age, NewReservation, PoolChange, Pools, PoolsSource, ReservationFilter } from "./port.ts";

/** `Accept` where the object itself is not wanted back. */
export const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const tableOnly = "application/json;as=Table;g=meta.k8s.io;v=v1";
const jsonPatch = "application/json-patch+json";
const mergePatch = "application/merge-patch+json";
/**
 * What may be a moment old comes out of the server's own memory, already decoded. Out of its store, a pool of 2,000 entries costs it 35 ms of
 * processor time each time, and the metadata of one alone as much.
 */
const anyVersion = { resourceVersion: "0" } as const;
/** Names of some hundred bytes each: a page of the most that API servers send at once. */
const namesPage = 5000;
/** Pools of up to a megabyte each. */
const poolsPage = 50;

export interface ApiPoolsOptions {
  /** Path of the kubeconfig. */
  readonly kubeconfig: string;
  /** How long each request may take, with everything that is tried again for it. */
  readonly timeoutMs: number;
  /** What the requests are made for, in the User-Agent. */
  readonly verb: string;
  readonly log: Logger;
}

/** The first column of every table is the name. */
const tableSchema = struct({
  metadata: struct({ continue: optional(text(), "") }),
  rows: optional(array(struct({ cells: array(anyValue()) })), []),
});

/** Pools of one namespace of a Kubernetes API server. */
export class ApiPools implements Pools {
  readonly hasCheapNames = false;
  readonly mayBeShared = true;

  readonly source: PoolsSource;
  readonly where: string;

  /** `kubeconfig` is where the client has its credentials from, "" for the service account of a pod. */
  constructor(
    readonly client: KubeClient,
    readonly namespace: string,
    kubeconfig: string,
  ) {
    this.source = { kubeconfig };
    this.where = `namespace ${namespace} of ${kubeconfig === "" ? "this pod's cluster" : `kubeconfig ${kubeconfig}`}`;
  }

  async getPool(name: string, age: Age = "now"): Promise<IpPool | undefined> {
    const found = await this.#get(ipPools, name, ipPoolSchema, age === "recent" ? { query: anyVersion } : {});
    return found && ipPoolOf(found);
  }

  async isPoolUnchanged(name: string, resourceVersion: string): Promise<boolean> {
    const found = await this.#get(ipPools, name, metadataSchema, { query: anyVersion, accept: metadataOnly });
    return found?.metadata.resourceVersion === resourceVersion;
  }

  async listPools(): Promise<IpPool[]> {
    const { namespace } = this;
    try {
      const { items } = await list(this.client, ipPools, ipPoolSchema, { namespace, limit: poolsPage });
      return items.map(ipPoolOf);
    } catch (error) {
      throw toClusterError(error);
    }
  }

  async poolNames(age: Age = "now"): Promise<string[]> {
    return await this.#names(ipPools, age);
  }

  async createPool(name: string, range: string, annotations: IpPool["annotations"] = {}): Promise<IpPool> {
    const { namespace } = this;
    const metadata = { name, namespace, annotations };
    const body = { apiVersion: poolApiVersion, kind: "IPPool", metadata, spec: { range, allocations: {} } };
    try {
      await this.client.request({ verb: "create", resource: ipPools, namespace }, anyObject(), {
        body,
        accept: metadataOnly,
      });
    } catch (error) {
      if (!isAlreadyExists(error)) throw toClusterError(error, `create ippool ${namespace}/${name}`);
      const existing = await this.getPool(name);
      return existing ?? (await this.createPool(name, range, annotations));
    }
    // Records of who manages which entry would make every later write of the map a quarter larger and several times slower.
    const stripped = { metadata: { managedFields: [{}] } };
    const target = { verb: "patch", resource: ipPools, namespace, name } as const;
    try {
      return ipPoolOf(await this.client.request(target, ipPoolSchema, { body: stripped, contentType: mergePatch }));
    } catch (error) {
      throw toClusterError(error);
    }
  }

  async annotatePool(pool: IpPool, annotations: IpPool["annotations"]): Promise<boolean> {
    const { namespace } = this;
    const { name, uid } = pool;
    const body: JsonValue[] = [{ op: "test", path: "/metadata/uid", value: uid }, ...annotationsMap(pool)];
    for (const [key, value] of Object.entries(annotations)) {
      const path = `${annotationsPath}/${key.replace("/", "~1")}`;
      body.push({ op: "test", path, value: null }, { op: "add", path, value });
    }
    const target = { verb: "patch", resource: ipPools, namespace, name } as const;
    try {
      await this.client.request(target, anyObject(), { body, contentType: jsonPatch, accept: metadataOnly });
      return true;
    } catch (error) {
      if (isRefusedPatch(error) || (isNotFound(error) && !isUnknownResource(error))) return false;
      throw toClusterError(error);
    }
  }

  async patchPool(name: string, changes: readonly PoolChange[]): Promise<boolean> {
    const { namespace } = this;
    const body: JsonValue[] = [];
    for (const change of changes) body.push(...patchOperations(change));
    try {
      await this.client.request({ verb: "patch", resource: ipPools, namespace, name }, anyObject(), {
        body,
        contentType: jsonPatch,
        accept: metadataOnly,
      });
      return true;
    } catch (error) {
      if (!isRefusedPatch(error)) throw toClusterError(error);
      // An attempt before this one may have done it without our hearing so.
      return error.wasRepeated && (await this.#isDone(name, changes));
    }
  }

  async getReservation(name: string): Promise<Reservation | undefined> {
    const found = await this.#get(reservations, name, reservationSchema);
    return found && reservationOf(found);
  }

  async listReservations({ label }: ReservationFilter = {}): Promise<Reservation[]> {
    const { namespace } = this;
    const selector = label === undefined ? {} : { labelSelector: label.join("=") };
    try {
      const { items } = await list(this.client, reservations, reservationSchema, { namespace, ...selector });
      return items.map(reservationOf);
    } catch (error) {
      throw toClusterError(error);
    }
  }

  async reservationNames(age: Age = "now"): Promise<string[]> {
    return await this.#names(reservations, age);
  }

  async createReservation(reservation: NewReservation): Promise<string | undefined> {
    const { name, owner, labels, finalizers, podref, containerId, ifName } = reservation;
    const { namespace } = this;
    const metadata = {
      name,
      namespace,
      labels,
      annotations: { ...reservation.annotations, [ownerAnnotation]: owner },
      ...(finalizers.length === 0 ? {} : { finalizers }),
    };
    const spec = { podref, containerid: containerId, ifname: ifName };
    try {
      const body = { apiVersion: poolApiVersion, kind: "OverlappingRangeIPReservation", metadata, spec };
      const target = { verb: "create", resource: reservations, namespace } as const;
      const made = await this.client.request(target, metadataSchema, { body, accept: metadataOnly });
      return made.metadata.uid;
    } catch (error) {
      if (!isAlreadyExists(error))
        throw toClusterError(error, `create overlappingrangeipreservation ${namespace}/${name}`);
      // An attempt before this one may have made it without our hearing so.
      return error.wasRepeated ? await this.ownedReservation(name, owner) : undefined;
    }
  }

  async ownedReservation(name: string, owner: string): Promise<string | undefined> {
    const found = await this.getReservation(name);
    return found?.annotations[ownerAnnotation] === owner ? found.uid : undefined;
  }

  async deleteReservation(name: string, uid: string, hasFinalizer: boolean): Promise<boolean> {
    const { namespace } = this;
    if (hasFinalizer && (await this.#letGo(name, uid))) return true;
    try {
      await this.client.request({ verb: "delete", resource: reservations, namespace, name }, anyObject(), {
        body: { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid } },
        accept: metadataOnly,
      });
      return true;
    } catch (error) {
      if ((isNotFound(error) && !isUnknownResource(error)) || isConflict(error)) return false;
      throw toClusterError(error);
    }
  }

  async annotateReservation(
    name: string,
    uid: string,
    annotations: Readonly<Record<string, string>>,
  ): Promise<boolean> {
    return (await this.#patchReservation(name, { metadata: { uid, annotations } }, mergePatch)) !== undefined;
  }

  async underLease<T>(identity: string, log: Logger, work: () => Promise<T>): Promise<T> {
    const { underGoLease } = await import("./go-lease.ts");
    try {
      return await underGoLease(this.client, this.namespace, identity, log, work);
    } catch (error) {
      throw error instanceof KubeError ? toClusterError(error) : error;
    }
  }

  async getNodeSlicePool(name: string): Promise<NodeSlicePool | undefined> {
    const found = await this.#get(nodeSlicePools, name, nodeSlicePoolSchema);
    return found && nodeSlicePoolOf(found);
  }

  async #isDone(name: string, changes: readonly PoolChange[]): Promise<boolean> {
    const pool = await this.getPool(name);
    if (pool === undefined) return false;
    return changes.every((change) => {
      const current = allocationOf(pool.allocations, change.key);
      if (change.op === "remove") return current === undefined;
      return current?.id === change.entry.id && current.ifname === change.entry.ifname;
    });
  }

  /**
   * As a table of names (meta.k8s.io/v1 Table without objects): the objects' metadata would be ten times as much. A recent list comes in one
   * piece.
   */
  async #names(resource: Resource, age: Age): Promise<string[]> {
    const { namespace } = this;
    const target = { verb: "list", resource, namespace } as const;
    const names: string[] = [];
    const version = age === "recent" ? anyVersion : {};
    try {
      for (let next = ""; ;) {
        const page = next === "" ? version : { continue: next };
        const query = { includeObject: "None", limit: String(namesPage), ...page };
        const { metadata, rows } = await this.client.request(target, tableSchema, { query, accept: tableOnly });
        for (const { cells } of rows) if (typeof cells[0] === "string") names.push(cells[0]);
        next = metadata.continue;
        if (next === "") return names;
      }
    } catch (error) {
      if (isExpired(error)) return await this.#names(resource, age);
      throw toClusterError(error);
    }
  }

  async #get<T>(
    resource: Resource,
    name: string,
    schema: Schema<T>,
    options: RequestOptions = {},
  ): Promise<T | undefined> {
    if (!isObjectName(name)) return undefined;
    try {
      return await this.client.request({ verb: "get", resource, namespace: this.namespace, name }, schema, options);
    } catch (error) {
      if (isNotFound(error) && !isUnknownResource(error)) return undefined;
      throw toClusterError(error);
    }
  }

  /** Takes our finalizer away; true when the object went with it, since somebody had deleted it before. */
  async #letGo(name: string, uid: string): Promise<boolean> {
    let index = 0;
    for (;;) {
      const path = `/metadata/finalizers/${index}`;
      const body = [
        { op: "test", path: "/metadata/uid", value: uid },
        { op: "test", path, value: holdFinalizer },
        { op: "remove", path },
      ];
      const patched = await this.#patchReservation(name, body, jsonPatch);
      if (patched !== undefined) return patched.isTerminating && patched.finalizers.length === 0;
      const current = await this.getReservation(name);
      if (current?.uid !== uid) return true;
      index = current.finalizers.indexOf(holdFinalizer);
      if (index < 0) return current.isTerminating;
    }
  }

  /** The object as patched; undefined when it is gone, or the patch's precondition does not hold. */
  async #patchReservation(
    name: string,
    body: JsonObject | readonly JsonValue[],
    contentType: string,
  ): Promise<{ readonly isTerminating: boolean; readonly finalizers: readonly string[] } | undefined> {
    const { namespace } = this;
    try {
      const target = { verb: "patch", resource: reservations, namespace, name } as const;
      const { metadata } = await this.client.request(target, metadataSchema, {
        body,
        contentType,
        accept: metadataOnly,
      });
      return { isTerminating: metadata.deletionTimestamp !== "", finalizers: metadata.finalizers };
    } catch (error) {
      if ((isNotFound(error) && !isUnknownResource(error)) || isConflict(error) || isRefusedPatch(error))
        return undefined;
      throw toClusterError(error);
    }
  }
}

/** Where whereabouts has its objects: the namespace of the kubeconfig's context, kube-system when it names none. */
export function poolsNamespace({ statedNamespace }: Access): string {
  return statedNamespace ?? "kube-system";
}

/** The pools that a kubeconfig leads to, over a connection of their own. Throws `ClusterError` when the file can't be used. */
export function openApiPools({ kubeconfig, timeoutMs, verb, log }: ApiPoolsOptions): ApiPools {
  const connection = new Connection(() => readKubeconfig(kubeconfig));
  try {
    const client = new KubeClient(connection, { timeoutMs, userAgent: userAgent(verb), log });
    return new ApiPools(client, poolsNamespace(connection.access()), kubeconfig);
  } catch (error) {
    throw toClusterError(error);
  }
}

/** A change as a JSON patch (RFC 6902); a test for null holds for what is not there, as whereabouts itself relies on. */
export function patchOperations(change: PoolChange): JsonObject[] {
  const path = `/spec/allocations/${change.key}`;
  if (change.op === "add") {
    return [
      { op: "test", path, value: null },
      { op: "add", path, value: { ...change.entry } },
    ];
  }
  const isOurs = { op: "test", path: `${path}/id`, value: change.id };
  if (change.op === "remove") return [isOurs, { op: "remove", path }];
  return [isOurs, { op: "replace", path, value: { ...change.entry } }];
}

export const annotationsPath = "/metadata/annotations";

/** What a pool of whereabouts' making lacks is the map of annotations itself: these operations add it. */
export function annotationsMap({ annotations }: Pick<IpPool, "annotations">): JsonObject[] {
  if (Object.keys(annotations).length > 0) return [];
  return [
    { op: "test", path: annotationsPath, value: null },
    { op: "add", path: annotationsPath, value: {} },
  ];
}

/** What API servers answer to a JSON patch of which a test does not hold, or that removes what is not there. */
function isRefusedPatch(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status?.code === 422;
}
