import type { Pools, PoolChange, PoolsSource } from "../../cluster/pools/port.ts";
import { statusIfExists, unlinkIfExists, writeFile } from "../../libc/file.ts";
import { tryLockFile } from "../../libc/lock.ts";
import { formatPrefix, type Prefix, parsePrefix } from "../../ip/prefix.ts";
import { parseIp } from "../../ip/address.ts";
import { allocationOf, isSliceId, sliceId } from "../../pool/claim.ts";
import { keyOf } from "../../pool/key.ts";
import type { Allocation, IpPool } from "../../pool/objects.ts";
import { slicePool } from "./own-slices.ts";
import { foldersOf, type SliceFolder, sliceFolders } from "./slice-folder.ts";

/** How long changes are gathered before they are written together. */
const batchMs = 200;
/** How often a pool that changes meanwhile is looked at again. */
const attempts = 5;

/** Notes down that files of slices have changed. True when nobody is writing the pools now, so that somebody has to begin. */
export function markChanged(dataDir: string): boolean {
  writeFile(changedPath(dataDir), "");
  using lock = tryLockFile(writerPath(dataDir));
  return lock !== undefined;
}

/**
 * Writes what this node's files say into the pools of its slices, in batches, until nothing changes any more: one writer per node. Returns at once when
 * there is one already. Throws `ClusterError`; the next change tries again.
 */
export async function indexSlices(dataDir: string, connect: (source: PoolsSource) => Promise<Pools>): Promise<void> {
  while (statusIfExists(changedPath(dataDir)) !== undefined) {
    using lock = tryLockFile(writerPath(dataDir));
    if (lock === undefined) return;
    await Bun.sleep(batchMs);
    while (unlinkIfExists(changedPath(dataDir))) {
      for (const folder of sliceFolders(dataDir)) await indexFolder(folder, connect);
      await Bun.sleep(batchMs);
    }
  }
}

async function indexFolder(folder: SliceFolder, connect: (source: PoolsSource) => Promise<Pools>): Promise<void> {
  const facts = folder.facts();
  if (facts === undefined) return;
  const pools = await connect(facts.source);
  for (const text of facts.slices) {
    const slice = parsePrefix(text);
    if (slice !== undefined) await indexSlice(pools, folder, slice, slicePool(slice, facts.networkName, facts.node));
  }
}

async function indexSlice(pools: Pools, folder: SliceFolder, slice: Prefix, name: string): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const pool = (await pools.getPool(name)) ?? (await pools.createPool(name, formatPrefix(slice)));
    const changes = difference(pool, wantedEntries(folder, slice));
    if (changes.length === 0 || (await pools.patchPool(name, changes))) return;
  }
}

/** The entries of what the files hold without a reservation, by their keys. */
function wantedEntries(folder: SliceFolder, slice: Prefix): Map<string, Allocation> {
  const wanted = new Map<string, Allocation>();
  for (const address of folder.addresses()) {
    const ip = parseIp(address);
    const key = ip && keyOf(slice, ip);
    const holder = folder.holderOf(address);
    if (key === undefined || holder === undefined || holder.owner === "" || holder.isReserved) continue;
    wanted.set(key, { id: sliceId(holder.containerId), podref: holder.podref, ifname: holder.ifName });
  }
  return wanted;
}

function difference({ allocations }: IpPool, wanted: ReadonlyMap<string, Allocation>): PoolChange[] {
  const changes: PoolChange[] = [];
  for (const key of Object.keys(allocations)) {
    const id = allocationOf(allocations, key)?.id ?? "";
    const entry = wanted.get(key);
    if (!isSliceId(id) || entry?.id === id) continue;
    changes.push(entry === undefined ? { op: "remove", key, id } : { op: "replace", key, id, entry });
  }
  for (const [key, entry] of wanted) if (!Object.hasOwn(allocations, key)) changes.push({ op: "add", key, entry });
  return changes;
}

/** Held by whoever writes the pools. */
function writerPath(dataDir: string): string {
  return `${foldersOf(dataDir)}/.writer`;
}

function changedPath(dataDir: string): string {
  return `${foldersOf(dataDir)}/.changed`;
}
