import { CniError, code } from "../../cni/error.ts";
import { formatIp } from "../../ip/address.ts";
import { formatPrefix, type Prefix, parsePrefix } from "../../ip/prefix.ts";
import { allocationOf, isIndexId, isSliceId } from "../../pool/claim.ts";
import { addressOfKey } from "../../pool/key.ts";
import { poolName } from "../../pool/names.ts";
import type { NodeSlicePool } from "../../pool/objects.ts";
import type { ClaimContext } from "./claim-context.ts";
import type { SliceFolder } from "./slice-folder.ts";

/**
 * How long what the store said about slices holds. A controller must not give the slice of a node that vanished to another one before twice
 * this time is over.
 */
const trustMs = 60_000;

/** The slices that this node has now: as the store said in the last minute, or, when it is longer ago or `isForced`, as it says now. */
export async function ownSlices(context: ClaimContext, folder: SliceFolder, isForced: boolean): Promise<Prefix[]> {
  const known = folder.facts();
  const isFresh = known !== undefined && Math.abs(Date.now() - known.atMs) < trustMs && known.node === context.node;
  if (isFresh && !isForced) return prefixes(known.slices);
  const { pools, node, config } = context;
  const atMs = Date.now();
  const object = await pools.getNodeSlicePool(folder.name);
  if (object === undefined) throw missing(`there is no nodeslicepool ${folder.name} in ${pools.where}`);
  const slices = slicesOf(object, node);
  if (slices.length === 0) throw missing(`node ${node} has no slice in nodeslicepool ${folder.name} (${pools.where})`);
  const found = prefixes(slices);
  // Before the slices are used: what Go has given out of them on this node.
  for (const slice of found) await adoptEntries(context, folder, slice);
  folder.setFacts({ source: pools.source, node, networkName: config.networkName, slices, atMs });
  return found;
}

/** The pool of a slice, as whereabouts names it. */
export function slicePool(slice: Prefix, networkName: string, node: string): string {
  return poolName({ range: slice, network: networkName, node });
}

/** By the node's name; else by the one that is the same without its domain, which hosts are named with or without. */
function slicesOf({ slices }: NodeSlicePool, node: string): string[] {
  const short = (name: string) => name.toLowerCase().replace(/\..*/, "");
  const exact = slices.filter(({ nodeName }) => nodeName === node);
  if (exact.length > 0) return exact.map(({ sliceRange }) => sliceRange);
  const near = slices.filter(({ nodeName }) => nodeName !== "" && short(nodeName) === short(node));
  const isOne = new Set(near.map(({ nodeName }) => nodeName)).size === 1;
  return isOne ? near.map(({ sliceRange }) => sliceRange) : [];
}

/** Entries that Go has made are holders until they are gone. */
async function adoptEntries({ pools, config, node }: ClaimContext, folder: SliceFolder, slice: Prefix): Promise<void> {
  if (!pools.mayBeShared) return;
  const pool = await pools.getPool(slicePool(slice, config.networkName, node));
  const entered = new Set<string>();
  for (const key of Object.keys(pool?.allocations ?? {})) {
    const entry = pool && allocationOf(pool.allocations, key);
    const ip = addressOfKey(slice, key);
    if (entry === undefined || ip === undefined || isIndexId(entry.id) || isSliceId(entry.id)) continue;
    entered.add(formatIp(ip));
    folder.take(formatIp(ip), {
      owner: "",
      containerId: entry.id,
      ifName: entry.ifname,
      podref: entry.podref,
      isReserved: false,
    });
  }
  for (const address of folder.addresses())
    if (folder.holderOf(address)?.owner === "" && !entered.has(address)) folder.release(address, "");
}

function prefixes(texts: readonly string[]): Prefix[] {
  const found: Prefix[] = [];
  for (const text of texts) {
    const prefix = parsePrefix(text);
    if (prefix !== undefined) found.push(prefix);
  }
  return found;
}

function missing(text: string): CniError {
  return new CniError(code.tryAgainLater, text, "the controller assigns slices: polynic controller ipam has to run");
}

/** For messages: "10.0.0.0/26, 10.0.0.64/26". */
export function listSlices(slices: readonly Prefix[]): string {
  return slices.map(formatPrefix).join(", ");
}
