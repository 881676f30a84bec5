import type { Pools, PoolsSource } from "../../cluster/pools/port.ts";
import {
  makeDirectories,
  readDirectoryIfExists,
  readTextIfExists,
  unlinkIfExists,
  writeFile,
} from "../../libc/file.ts";
import { dropClaim, type MadeClaim } from "./drop.ts";

/** A claim whose attachment is gone and whose address is kept from others for a while (`release_delay_seconds`). */
export interface Delayed {
  readonly claim: MadeClaim;
  readonly source: PoolsSource;
}

/** Notes down what this node is to give back at `until`, in `<data_dir>/delayed/<milliseconds>:<uid>`. */
export function remember(dataDir: string, until: Date, delayed: Delayed): void {
  makeDirectories(folderOf(dataDir), 0o700);
  writeFile(`${folderOf(dataDir)}/${until.getTime()}:${delayed.claim.uid}`, JSON.stringify(delayed));
}

/**
 * Gives back what has waited long enough. Called now and then by whatever runs on the node; the controller does the same for nodes where
 * nothing runs any more. What can't be given back now stays noted.
 */
export async function releaseDue(dataDir: string, open: (source: PoolsSource) => Promise<Pools>): Promise<void> {
  const now = Date.now();
  for (const { name } of readDirectoryIfExists(folderOf(dataDir))) {
    if (!(Number(name.split(":")[0]) <= now)) continue;
    const path = `${folderOf(dataDir)}/${name}`;
    const text = readTextIfExists(path);
    if (text === undefined) continue;
    const { claim, source } = JSON.parse(text) as Delayed;
    await dropClaim(await open(source), claim, dataDir);
    unlinkIfExists(path);
  }
}

function folderOf(dataDir: string): string {
  return `${dataDir}/delayed`;
}
