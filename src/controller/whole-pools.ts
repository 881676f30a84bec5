import { anyObject, type Schema } from "../json/struct.ts";
import type { JsonObject } from "../json/value.ts";
import { type IpPool, ipPoolOf, ipPoolSchema } from "../pool/objects.ts";

/** A pool, and the object as the server has sent it, with all that others keep in it. */
export interface WholePool {
  readonly pool: IpPool;
  readonly object: JsonObject;
}

/** For lists and watches of pools. */
export const wholePoolSchema: Schema<WholePool> = (value, place) => ({
  pool: ipPoolOf(ipPoolSchema(value, place)),
  object: anyObject()(value, place),
});

/** From so many entries on it is worth while: a server takes a whole pool in for a third less than it takes to patch one. */
const fewestEntries = 1000;
/** A whole pool is refused when anybody else has changed it since it was seen; where somebody does, it is patched for so long. */
const quietMs = 5000;

/** Which pools may be sent back as a whole, instead of being patched: large ones that nobody else changes at the moment. */
export class WholePools {
  readonly #objects = new Map<string, JsonObject>();
  /** The version that we have made last, by pool. */
  readonly #ours = new Map<string, string>();
  /** The last version that somebody else has made, and when it was seen. */
  readonly #others = new Map<string, { readonly version: string; readonly atMs: number }>();
  readonly #now: () => number;
  #isAllowed = true;

  /** `now` in ms, by a clock that only goes forward. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** These are all pools there are. */
  list(all: readonly WholePool[]): void {
    this.#objects.clear();
    for (const { pool, object } of all) this.#objects.set(pool.name, object);
  }

  /** A pool has changed. */
  see({ pool: { name, resourceVersion }, object }: WholePool): void {
    this.#objects.set(name, object);
    if (this.#ours.get(name) !== resourceVersion) this.#changedByOthers(name, resourceVersion);
  }

  /** The pool is gone. */
  forget(name: string): void {
    for (const map of [this.#objects, this.#ours, this.#others]) map.delete(name);
  }

  /** We have written that version; it may have been seen already. */
  wrote({ name, resourceVersion }: IpPool): void {
    this.#ours.set(name, resourceVersion);
    if (this.#others.get(name)?.version === resourceVersion) this.#others.delete(name);
  }

  /** The server did not take it, since somebody else has changed the pool. */
  refused({ name, resourceVersion }: IpPool): void {
    this.#changedByOthers(name, resourceVersion);
  }

  /** The role has no such right: an older one, or that of whereabouts. */
  forbidden(): void {
    this.#isAllowed = false;
  }

  /** The object that this state of the pool is from, if it may be sent back. */
  objectOf({ name, resourceVersion, allocations }: IpPool): JsonObject | undefined {
    if (!this.#isAllowed || Object.keys(allocations).length < fewestEntries) return undefined;
    const { atMs = Number.NEGATIVE_INFINITY } = this.#others.get(name) ?? {};
    if (this.#now() - atMs < quietMs) return undefined;
    const object = this.#objects.get(name);
    const metadata = object?.["metadata"] as JsonObject | undefined;
    return metadata?.["resourceVersion"] === resourceVersion ? object : undefined;
  }

  #changedByOthers(name: string, version: string): void {
    this.#others.set(name, { version, atMs: this.#now() });
  }
}
