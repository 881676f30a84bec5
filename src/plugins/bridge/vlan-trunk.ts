import { CniError, code } from "../../cni/error.ts";
import { array, type Infer, integer, optional, struct } from "../../json/struct.ts";

/** The largest VLAN id (IEEE 802.1Q): 4095 is reserved. */
export const vlanIdMax = 4094;

const entry = struct({
  minID: optional(integer()),
  maxID: optional(integer()),
  id: optional(integer()),
});

/** `vlanTrunk` of a config: each element a range, a single id, or both. */
export function trunkSchema() {
  return optional(array(entry));
}

/** The VLAN ids of a trunk, sorted, each once; none without a trunk. Throws `CniError` code 7 that names the element. */
export function collectTrunk(trunk: readonly Infer<typeof entry>[] | undefined): readonly number[] {
  if (trunk === undefined) return [];
  const ids = new Set<number>();
  for (const [position, { minID, maxID, id }] of trunk.entries()) {
    const path = `$.vlanTrunk[${position}]`;
    for (const each of rangeOf(minID, maxID, path)) ids.add(each);
    if (id !== undefined) ids.add(requireId(id, "id", path));
  }
  return [...ids].sort((a, b) => a - b);
}

function rangeOf(first: number | undefined, last: number | undefined, path: string): number[] {
  if (first === undefined && last === undefined) return [];
  if (first === undefined || last === undefined) {
    const missing = first === undefined ? "minID" : "maxID";
    throw refuse(`minID and maxID should be configured simultaneously, ${missing} is missing`, path);
  }
  requireId(first, "minID", path);
  requireId(last, "maxID", path);
  if (last < first) throw refuse("minID is greater than maxID in trunk parameter", path);
  return Array.from({ length: last - first + 1 }, (_, position) => first + position);
}

function requireId(id: number, key: string, path: string): number {
  if (id >= 1 && id <= vlanIdMax) return id;
  throw refuse(`incorrect trunk ${key} parameter`, path, `: expected an id from 1 to ${vlanIdMax}, found ${id}`);
}

function refuse(message: string, path: string, more = ""): CniError {
  return new CniError(code.invalidConfig, `${message} (${path}${more})`);
}
