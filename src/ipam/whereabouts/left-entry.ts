import type { Pools, PoolsSource } from "../../cluster/pools/port.ts";
import {
  makeDirectories,
  readDirectoryIfExists,
  readTextIfExists,
  replaceFile,
  statusIfExists,
  unlinkIfExists,
} from "../../libc/file.ts";

/** An entry whose claim is given back, and which goes with the next patch that this node makes of the pool. */
export interface LeftEntry {
  readonly key: string;
  readonly id: string;
  readonly source: PoolsSource;
  /** As `Pools.where`: another store's pool of that name is another pool. */
  readonly store: string;
}

/** A left entry, and the file that tells of it. */
export interface LeftFile extends LeftEntry {
  readonly path: string;
}

const extension = ".left";

/** Where the calls of this node say what they want changed in a pool. */
export function writersFolder(dataDir: string, pool: string): string {
  return `${dataDir}/writers/${pool}`;
}

/** Notes down that an entry is to go. `claimUid` is that of its claim: whoever notes it down again says the same. */
export function leaveEntry(
  dataDir: string,
  { source, where }: Pick<Pools, "source" | "where">,
  claimUid: string,
  { pool, key, id }: { readonly pool: string; readonly key: string; readonly id: string },
): void {
  const folder = writersFolder(dataDir, pool);
  const left: LeftEntry = { key, id, source, store: where };
  if (statusIfExists(folder) === undefined) makeDirectories(folder, 0o700);
  replaceFile(`${folder}/${claimUid}${extension}`, JSON.stringify(left), 0o600, `${folder}/.${claimUid}`, false);
}

/** What is noted down in the folder of a pool, in no order. */
export function leftEntries(folder: string): LeftFile[] {
  const found: LeftFile[] = [];
  for (const { name } of readDirectoryIfExists(folder)) {
    if (!name.endsWith(extension)) continue;
    const path = `${folder}/${name}`;
    const text = readTextIfExists(path);
    if (text !== undefined) found.push({ path, ...(JSON.parse(text) as LeftEntry) });
  }
  return found;
}

/** The pools of which this node has entries to take out. */
export function poolsWithLeft(dataDir: string): string[] {
  const found: string[] = [];
  for (const { name } of readDirectoryIfExists(`${dataDir}/writers`)) {
    const files = name.startsWith(".") ? [] : readDirectoryIfExists(writersFolder(dataDir, name));
    if (files.some((each) => each.name.endsWith(extension))) found.push(name);
  }
  return found;
}

/** The entry is gone, or another one's. */
export function forgetLeft({ path }: LeftFile): void {
  unlinkIfExists(path);
}
