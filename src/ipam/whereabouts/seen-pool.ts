import { makeDirectories, readTextIfExists, replaceFile, statusIfExists, unlinkIfExists } from "../../libc/file.ts";
import type { ClaimScope } from "../../pool/claim.ts";
import { heldElsewhere } from "../../pool/held-elsewhere.ts";
import { formatKeys, parseKeys } from "../../pool/key-runs.ts";
import type { IpPool } from "../../pool/objects.ts";
import { unlessBroken } from "./unless-broken.ts";

/** How long a look at the pool is good for where what stands in it decides nothing, and nobody was faster meanwhile. */
const freshMs = 10_000;
/**
 * And where entries of whereabouts may be all that their holders have: what an ADD's own read is late by on a busy node. So the calls of a burst
 * share one.
 */
const sharedMs = 250;

/** A pool as a call of this node has read it. */
export interface SeenPool {
  /** On the clock of Date.now(). */
  readonly askedAt: number;
  readonly resourceVersion: string;
  readonly scope: ClaimScope;
  /** Those of its map, and of addresses held elsewhere. */
  readonly keys: ReadonlySet<string>;
}

/** Where a pool's looks are remembered. */
export interface SeenPlace {
  readonly dataDir: string;
  /** Of the pool. */
  readonly name: string;
  /** The store that it is in: another one's pool of that name is another pool. */
  readonly store: string;
}

/**
 * What the calls of this node have last read of a pool, in `<data_dir>/seen/<pool>`: "<time> <version> <scope> 1-2000,2005 <store>". What can't be
 * read or written was not seen.
 */
export function readSeen(place: SeenPlace): SeenPool | undefined {
  const text = unlessBroken(() => readTextIfExists(pathOf(place)));
  const [time, resourceVersion = "", scope, runs, ...store] = (text ?? "").split(" ");
  if (runs === undefined || store.join(" ") !== place.store) return undefined;
  return { askedAt: Number(time), resourceVersion, scope: scope as ClaimScope, keys: parseKeys(runs) };
}

/**
 * True when a call that began to look then need not read the pool itself: what was asked for after that is as good as its own read. After a step of the
 * clock nothing is known.
 */
export function isFresh({ askedAt }: SeenPool, isDecisive: boolean, began: number, now = Date.now()): boolean {
  return askedAt <= now && began - askedAt < (isDecisive ? sharedMs : freshMs);
}

/** To be called with the pool as it was read, and the time when it was asked for. */
export function writeSeen(place: SeenPlace, pool: IpPool, scope: ClaimScope, askedAt: number): void {
  const keys = new Set([...Object.keys(pool.allocations), ...heldElsewhere(pool)]);
  confirmSeen(place, { resourceVersion: pool.resourceVersion, scope, keys }, askedAt);
}

/** To be called when the pool was found to be as it was seen, with the time when that was asked. */
export function confirmSeen(place: SeenPlace, seen: Omit<SeenPool, "askedAt">, askedAt: number): void {
  const { resourceVersion, scope, keys } = seen;
  const folder = folderOf(place);
  unlessBroken(() => {
    if (statusIfExists(folder) === undefined) makeDirectories(folder, 0o700);
    const text = `${askedAt} ${resourceVersion} ${scope} ${formatKeys([...keys])} ${place.store}`;
    replaceFile(pathOf(place), text, 0o600, `${folder}/.${crypto.randomUUID()}`, false);
  });
}

/** The next call is to read the pool. */
export function forgetSeen(place: SeenPlace): void {
  unlessBroken(() => unlinkIfExists(pathOf(place)));
}

function folderOf({ dataDir }: SeenPlace): string {
  return `${dataDir}/seen`;
}

function pathOf(place: SeenPlace): string {
  return `${folderOf(place)}/${place.name}`;
}
