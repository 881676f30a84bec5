import type { Pools, PoolsSource } from "../../cluster/pools/port.ts";
import {
  makeDirectories,
  readDirectoryIfExists,
  readTextIfExists,
  unlinkIfExists,
  writeFile,
} from "../../libc/file.ts";
import { dropClaim, type MadeClaim } from "./drop.ts";
import { SliceFolder } from "./slice-folder.ts";

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
 * nothing runs any more, as far as reservations go. What can't be given back now, or of which `open` wants to know nothing, stays noted. True when
 * an address of this node's slices was among it.
 */
export async function releaseDue(
  dataDir: string,
  open: (source: PoolsSource) => Promise<Pools | undefined>,
): Promise<boolean> {
  const now = Date.now();
  let hasSlices = false;
  for (const { name } of readDirectoryIfExists(folderOf(dataDir))) {
    if (!(Number(name.split(":")[0]) <= now)) continue;
    const path = `${folderOf(dataDir)}/${name}`;
    const text = readTextIfExists(path);
    if (text === undefined) continue;
    const { claim, source } = JSON.parse(text) as Delayed;
    if (claim.slice === undefined) {
      const pools = await open(source);
      if (pools === undefined) continue;
      await dropClaim(pools, claim, dataDir);
    } else new SliceFolder(dataDir, claim.slice.folder).release(claim.slice.address, claim.owner);
    hasSlices ||= claim.slice !== undefined;
    unlinkIfExists(path);
  }
  return hasSlices;
}

/** The `uid` of each claim that is noted, due or not. */
export function restingClaims(dataDir: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { name } of readDirectoryIfExists(folderOf(dataDir))) found.add(name.slice(name.indexOf(":") + 1));
  return found;
}

function folderOf(dataDir: string): string {
  return `${dataDir}/delayed`;
}
