import { CniError, code } from "../../cni/error.ts";
import { formatIp } from "../../ip/address.ts";
import { containsIp, formatPrefix, overlaps, type Prefix, parsePrefix } from "../../ip/prefix.ts";
import { allocationOf, isIndexId, isSliceId } from "../../pool/claim.ts";
import { addressOfKey } from "../../pool/key.ts";
import { poolName } from "../../pool/names.ts";
import type { NodeSlicePool } from "../../pool/objects.ts";
import type { ClaimContext } from "./claim-context.ts";
import type { RangePlan } from "./range-plan.ts";
import type { SliceFolder } from "./slice-folder.ts";

/**
 * How long what the store said about slices holds. A controller must not give the slice of a node that vanished to another one before twice
 * this time is over.
 */
const trustMs = 60_000;

/**
 * The slices that this node has of a network's ranges. The store is asked once per ADD at most, whatever the number of ranges: one object lists the slices
 * of all of them.
 */
export class OwnSlices {
  #asked: Promise<Prefix[]> | undefined;

  constructor(
    readonly context: ClaimContext,
    readonly folder: SliceFolder,
  ) {}

  /**
   * Those of a range, as the store said in the last minute, or, when it is longer ago, named none, or `isForced`, as it says now. Throws `CniError` code 11
   * when there is none.
   */
  async of({ network }: RangePlan, isForced = false): Promise<Prefix[]> {
    const known = isForced ? undefined : this.#known();
    let found = within(network, known ?? (await this.#ask()));
    if (found.length === 0) found = within(network, await this.#ask());
    if (found.length > 0) return found;
    const { node, pools } = this.context;
    const where = `nodeslicepool ${this.folder.name} (${pools.where})`;
    throw missing(`node ${node} has no slice of ${formatPrefix(network)} in ${where}`);
  }

  #known(): Prefix[] | undefined {
    const facts = this.folder.facts();
    const isFresh =
      facts !== undefined && Math.abs(Date.now() - facts.atMs) < trustMs && facts.node === this.context.node;
    return isFresh ? prefixes(facts.slices) : undefined;
  }

  #ask(): Promise<Prefix[]> {
    this.#asked ??= this.#read();
    return this.#asked;
  }

  async #read(): Promise<Prefix[]> {
    const { pools, node, config } = this.context;
    const atMs = Date.now();
    const object = await pools.getNodeSlicePool(this.folder.name);
    if (object === undefined) throw missing(`there is no nodeslicepool ${this.folder.name} in ${pools.where}`);
    const slices = slicesOf(object, node);
    if (slices.length === 0) return [];
    const found = prefixes(slices);
    // Before the slices are used: what has been given out of them without files of this node.
    if (pools.mayBeShared) await adoptEntries(this.context, this.folder, found);
    this.folder.setFacts({ source: pools.source, node, networkName: config.networkName, slices, atMs });
    return found;
  }
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

/**
 * Entries are holders until they are gone: those that Go has made in the pools of the slices, and all that stand in the ranges' own pools, which all nodes
 * shared before the ranges were divided.
 */
async function adoptEntries(context: ClaimContext, folder: SliceFolder, slices: readonly Prefix[]): Promise<void> {
  const { pools, config, node } = context;
  const entered = new Set<string>();
  const adopt = async (name: string, network: Prefix, isOthers: (id: string) => boolean): Promise<void> => {
    const pool = await pools.getPool(name);
    for (const key of Object.keys(pool?.allocations ?? {})) {
      const entry = pool && allocationOf(pool.allocations, key);
      const ip = addressOfKey(network, key);
      if (entry === undefined || ip === undefined || !isOthers(entry.id)) continue;
      if (!slices.some((slice) => containsIp(slice, ip))) continue;
      entered.add(formatIp(ip));
      folder.take(formatIp(ip), {
        owner: "",
        containerId: entry.id,
        ifName: entry.ifname,
        podref: entry.podref,
        isReserved: false,
      });
    }
  };
  const reads: Promise<void>[] = [];
  for (const slice of slices)
    reads.push(adopt(slicePool(slice, config.networkName, node), slice, (id) => !isIndexId(id) && !isSliceId(id)));
  for (const { pool, network, sliceBits } of config.ranges)
    if (sliceBits !== undefined) reads.push(adopt(pool, network, () => true));
  await Promise.all(reads);
  for (const address of folder.addresses())
    if (folder.holderOf(address)?.owner === "" && !entered.has(address)) folder.release(address, "");
}

function within(network: Prefix, slices: readonly Prefix[]): Prefix[] {
  const found: Prefix[] = [];
  for (const slice of slices) if (overlaps(network, slice)) found.push(slice);
  return found;
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
