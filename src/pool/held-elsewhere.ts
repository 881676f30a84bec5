import { parseKeys } from "./key-runs.ts";
import type { IpPool } from "./objects.ts";

/**
 * On a pool: the keys of addresses that overlapping pools show somebody to hold, and that no reservation tells of. They stand beside the map so that whoever
 * reads the pool knows without a further request.
 */
export const elsewhereAnnotation = "polynic.io/held-elsewhere";

/** With keys of at most 19 digits it stays below what all annotations of an object may have, 256 KiB. */
export const mostElsewhere = 10_000;

/** The keys that the pool's annotation names. */
export function heldElsewhere({ annotations }: Pick<IpPool, "annotations">): ReadonlySet<string> {
  return parseKeys(annotations[elsewhereAnnotation] ?? "");
}
