import { SystemError } from "../../libc/errno.ts";
import { makeDirectories, readTextIfExists, replaceFile, statusIfExists } from "../../libc/file.ts";
import type { ClaimScope } from "../../pool/claim.ts";
import type { IpPool } from "../../pool/objects.ts";

/** How long a look at the pool is good for where what stands in it decides nothing. */
export const freshMs = 2000;

/** A pool as a call of this node has read it. */
export interface SeenPool {
  readonly ageMs: number;
  readonly resourceVersion: string;
  readonly scope: ClaimScope;
  /** Those of its map. */
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
  return { ageMs: now - Number(time), resourceVersion, scope: scope as ClaimScope, keys: keysOf(runs) };
}

/** To be called with the pool as it was read just now. */
export function writeSeen(dataDir: string, { name, resourceVersion, allocations }: IpPool, scope: ClaimScope): void {
  unlessBroken(() => {
    if (statusIfExists(`${dataDir}/seen`) === undefined) makeDirectories(`${dataDir}/seen`, 0o700);
    const text = `${Date.now()} ${resourceVersion} ${scope} ${runsOf(Object.keys(allocations))}`;
    replaceFile(pathOf(dataDir, name), text, 0o600, `${dataDir}/seen/.${crypto.randomUUID()}`, false);
  });
}

function pathOf(dataDir: string, pool: string): string {
  return `${dataDir}/seen/${pool}`;
}

/** Keys of a map come in the order of their numbers, so that those of a full pool make few runs. */
function runsOf(keys: readonly string[]): string {
  const runs: string[] = [];
  let first = Number.NaN;
  let last = Number.NaN;
  const end = (): void => {
    if (first === last) runs.push(`${first}`);
    else if (first < last) runs.push(`${first}-${last}`);
  };
  for (const key of keys) {
    // Whoever writes other keys, and what can't be counted exactly: by itself, as it stands.
    const number = /^\d{1,15}$/.test(key) ? Number(key) : Number.NaN;
    if (number === last + 1) last = number;
    else {
      end();
      first = last = number;
    }
    if (Number.isNaN(number) && !/[\s,-]/.test(key)) runs.push(key);
  }
  end();
  return runs.join(",");
}

function keysOf(runs: string): Set<string> {
  const keys = new Set<string>();
  for (const run of runs.split(",")) {
    const [first = "", last] = run.split("-");
    if (last === undefined) keys.add(first);
    else for (let key = Number(first); key <= Number(last); key++) keys.add(`${key}`);
  }
  return keys;
}

function unlessBroken<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
