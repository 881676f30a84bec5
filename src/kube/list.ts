import { anyValue, array, optional, type Schema, struct, text } from "../json/struct.ts";
import type { KubeClient, RequestOptions } from "./client.ts";
import { isExpired } from "./error.ts";
import type { Resource, Target } from "./resource.ts";

/** Objects that the server sends at once; a page of this many NADs is some hundred kB. */
export const pageSize = 500;

export interface ListOptions {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Only `metadata` is sent, for those who look for names. */
  readonly onlyMetadata?: boolean;
  /** Less time for each page than the client's. */
  readonly atMostMs?: number;
  /** After this many no further page is asked for. */
  readonly atMost?: number;
  /** Objects of a page; `pageSize` otherwise. */
  readonly limit?: number;
}

export interface List<T> {
  readonly items: readonly T[];
  /** Where a watch goes on. */
  readonly resourceVersion: string;
  /** False when `atMost` cut it short. */
  readonly isComplete: boolean;
}

const pageSchema = struct({
  metadata: struct({ resourceVersion: optional(text(), ""), continue: optional(text(), "") }),
  items: optional(array(anyValue()), []),
});

const metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/**
 * All objects of a kind, page by page, each decoded by `schema`; one that does not fit is an error. When the server forgets the list that
 * the pages are from (it keeps it for some minutes), the whole is asked for in one piece. Throws `KubeError`.
 */
export async function list<T>(
  client: KubeClient,
  resource: Resource,
  schema: Schema<T>,
  options: ListOptions = {},
): Promise<List<T>> {
  try {
    return await pages(client, resource, schema, options, { limit: String(options.limit ?? pageSize) });
  } catch (error) {
    if (!isExpired(error)) throw error;
    return await pages(client, resource, schema, options, {});
  }
}

async function pages<T>(
  client: KubeClient,
  resource: Resource,
  schema: Schema<T>,
  options: ListOptions,
  limit: Readonly<Record<string, string>>,
): Promise<List<T>> {
  const { namespace, atMost = Number.POSITIVE_INFINITY } = options;
  const target: Target = { verb: "list", resource, ...(namespace === undefined ? {} : { namespace }) };
  const items: T[] = [];
  let next = "";
  for (;;) {
    const query = { ...limit, ...selectors(options), ...(next === "" ? {} : { continue: next }) };
    const page = await client.request(target, pageSchema, requestOptions(query, options));
    page.items.forEach((item, index) => items.push(client.decoded(target, schema, item, `$.items[${index}]`)));
    next = page.metadata.continue;
    if (next === "" || items.length >= atMost)
      return { items, resourceVersion: page.metadata.resourceVersion, isComplete: next === "" };
  }
}

/** The parts of a query that choose among objects. */
export function selectors({
  labelSelector,
  fieldSelector,
}: Pick<ListOptions, "labelSelector" | "fieldSelector">): Readonly<Record<string, string>> {
  return {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  };
}

function requestOptions(
  query: Readonly<Record<string, string>>,
  { onlyMetadata = false, atMostMs }: ListOptions,
): RequestOptions {
  return {
    query,
    ...(onlyMetadata ? { accept: metadataOnly } : {}),
    ...(atMostMs === undefined ? {} : { atMostMs }),
  };
}
