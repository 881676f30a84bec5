import { SystemError } from "../../libc/errno.ts";
import { makeDirectories, readTextIfExists, replaceFile, statusIfExists } from "../../libc/file.ts";
import type { ClaimScope } from "../../pool/claim.ts";
import { heldElsewhere } from "../../pool/held-elsewhere.ts";
import { formatKeys, parseKeys } from "../../pool/key-runs.ts";
import type { IpPool } from "../../pool/objects.ts";

/** How long a look at the pool is good for where what stands in it decides nothing. */
export const freshMs = 2000;

/** A pool as a call of this node has read it. */
export interface SeenPool {
  readonly ageMs: number;
  readonly resourceVersion: string;
  readonly scope: ClaimScope;
  /** Those of its map, and of addresses held elsewhere. */
  readonly keys: ReadonlySet<string>;
}

/**
 * What the calls of this node have last read of a pool, in `<data_dir>/seen/<pool>`: "<time> <version> <scope> 1-2000,2005". What can't be read or
 * written was not seen.
 */
export function readSeen(dataDir: string, pool: string, now = Date.now()): SeenPool | undefined {
  const text = unlessBroken(() => readTextIfExists(pathOf(dataDir, pool)));
  const [time, resourceVersion = "", scope, runs] = (text ?? "").split(" ");
  if (runs === undefined) return undefined;
  return { ageMs: now - Number(time), resourceVersion, scope: scope as ClaimScope, keys: parseKeys(runs) };
}

/** To be called with the pool as it was read just now. */
export function writeSeen(dataDir: string, pool: IpPool, scope: ClaimScope): void {
  const { name, resourceVersion, allocations } = pool;
  const keys = [...Object.keys(allocations), ...heldElsewhere(pool)];
  unlessBroken(() => {
    if (statusIfExists(`${dataDir}/seen`) === undefined) makeDirectories(`${dataDir}/seen`, 0o700);
    const text = `${Date.now()} ${resourceVersion} ${scope} ${formatKeys(keys)}`;
    replaceFile(pathOf(dataDir, name), text, 0o600, `${dataDir}/seen/.${crypto.randomUUID()}`, false);
  });
}

function pathOf(dataDir: string, pool: string): string {
  return `${dataDir}/seen/${pool}`;
}

function unlessBroken<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
