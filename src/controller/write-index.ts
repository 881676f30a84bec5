import { annotationsMap, annotationsPath, metadataOnly, patchOperations } from "../cluster/pools/api.ts";
import type { PoolChange } from "../cluster/pools/port.ts";
import { lastIp } from "../ip/prefix.ts";
import type { JsonObject, JsonValue } from "../json/value.ts";
import type { KubeClient } from "../kube/client.ts";
import { isConflict, isNotFound, KubeError } from "../kube/error.ts";
import { ipPools } from "../kube/resource.ts";
import { elsewhereAnnotation } from "../pool/held-elsewhere.ts";
import { parsePoolRange } from "../pool/key.ts";
import { type IpPool, metadataSchema, poolApiVersion } from "../pool/objects.ts";
import type { WholePool } from "./whole-pools.ts";

/** What kubectl shows in the column USED: "12 of 254". */
export const usedAnnotation = "polynic.io/used";

/**
 * Has the server forget which client manages which entry of the map. Nothing reads it, and on a pool of thousands of entries it makes every later
 * write, whereabouts' own too, many times slower.
 */
const withoutManagers = { op: "add", path: "/metadata/managedFields", value: [{}] };

/** What is written beside the map. */
export interface IndexNotes {
  /** The text of `usedAnnotation`. */
  readonly used: string;
  /** The text of `elsewhereAnnotation`; "" for no such annotation. */
  readonly elsewhere: string;
  /** Drops the records of who manages the entries. */
  readonly isLarge: boolean;
}

/**
 * Makes the changes of a pool's map in one step, and writes beside them how many entries there are and what overlapping pools hold. The pool as it is then, but for what others have changed meanwhile; undefined when a change's condition does not hold, and nothing is
 * done then. Throws `KubeError`.
 */
export async function writeIndex(
  client: KubeClient,
  namespace: string,
  pool: IpPool,
  changes: readonly PoolChange[],
  { used, elsewhere, isLarge }: IndexNotes,
): Promise<IpPool | undefined> {
  const { name, uid } = pool;
  const body: JsonValue[] = [{ op: "test", path: "/metadata/uid", value: uid }];
  if (isLarge) body.push(withoutManagers);
  body.push(...annotationsMap(pool));
  body.push({ op: "add", path: pathOf(usedAnnotation), value: used });
  if (elsewhere !== "") body.push({ op: "add", path: pathOf(elsewhereAnnotation), value: elsewhere });
  else if (pool.annotations[elsewhereAnnotation] !== undefined)
    body.push({ op: "remove", path: pathOf(elsewhereAnnotation) });
  for (const change of changes) body.push(...patchOperations(change));
  const target = { verb: "patch", resource: ipPools, namespace, name } as const;
  const contentType = "application/json-patch+json";
  try {
    const { metadata } = await client.request(target, metadataSchema, { body, contentType, accept: metadataOnly });
    const { resourceVersion, annotations } = metadata;
    return { ...pool, resourceVersion, annotations, allocations: changed(pool.allocations, changes) };
  } catch (error) {
    // Also when an attempt that was not heard of has done it: the caller looks at the pool anew in any case.
    if (error instanceof KubeError && (error.status?.code === 422 || error.status?.code === 404)) return undefined;
    throw error;
  }
}

/**
 * As `writeIndex`, by sending the whole object back, which costs a server less: `object` is what the state of the pool was read from, and is taken only
 * if nobody has changed it since. Undefined otherwise, and nothing is done then.
 */
export async function replaceIndex(
  client: KubeClient,
  namespace: string,
  { pool, object }: WholePool,
  changes: readonly PoolChange[],
  { used, elsewhere }: IndexNotes,
): Promise<IpPool | undefined> {
  const { [elsewhereAnnotation]: _, ...others } = pool.annotations;
  const notes = { [usedAnnotation]: used, ...(elsewhere === "" ? {} : { [elsewhereAnnotation]: elsewhere }) };
  const allocations = changed(pool.allocations, changes);
  const body = {
    ...object,
    apiVersion: poolApiVersion,
    kind: "IPPool",
    // The version and the uid that stand there are the condition.
    metadata: {
      ...(object["metadata"] as JsonObject),
      annotations: { ...others, ...notes },
      managedFields: withoutManagers.value,
    },
    spec: { ...(object["spec"] as JsonObject), allocations },
  };
  const target = { verb: "update", resource: ipPools, namespace, name: pool.name } as const;
  try {
    const { metadata } = await client.request(target, metadataSchema, { body, accept: metadataOnly });
    const { resourceVersion, annotations } = metadata;
    return { ...pool, resourceVersion, annotations, allocations };
  } catch (error) {
    if (isConflict(error) || isNotFound(error)) return undefined;
    throw error;
  }
}

function pathOf(annotation: string): string {
  return `${annotationsPath}/${annotation.replace("/", "~1")}`;
}

function changed(allocations: JsonObject, changes: readonly PoolChange[]): JsonObject {
  const next: Record<string, JsonValue | undefined> = { ...allocations };
  for (const change of changes) {
    if (change.op === "remove") delete next[change.key];
    else next[change.key] = { ...change.entry };
  }
  return next;
}

/** "12 of 254"; without the sum for networks of which nobody uses a noticeable part. */
export function usedText(range: string, held: number): string {
  const network = parsePoolRange(range);
  if (network === undefined) return `${held}: ${range} is no network`;
  const size = lastIp(network).value - network.ip.value + 1n;
  const usable = size > 2n ? size - 2n : size;
  return usable > 1n << 32n ? `${held}` : `${held} of ${usable}`;
}
