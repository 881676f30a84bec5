import { CniError, code } from "../../cni/error.ts";
import { formatIp, type Ip } from "../../ip/address.ts";
import { containsIp, networkOf, type Prefix } from "../../ip/prefix.ts";
import { keyOf } from "../../pool/key.ts";
import { reservationName } from "../../pool/names.ts";
import { firstFree, type Spans, spansContain, spansOfSlice } from "../../pool/spans.ts";
import { type ClaimContext, isShared } from "./claim-context.ts";
import { createClaim } from "./create-claim.ts";
import { Journal, type JournalClaim } from "./journal.ts";
import { listSlices, type OwnSlices, slicePool } from "./own-slices.ts";
import type { RangePlan } from "./range-plan.ts";
import type { SliceFolder } from "./slice-folder.ts";

/** How many free addresses are looked for at a time. */
const window = 16;

/**
 * Claims addresses of this node's slices. The files of the node are the truth, so that no request is made for it; only where addresses are also held in
 * overlapping ranges the reservation is created as ever. The lowest free address of the first slice that has one.
 */
export class SliceClaimer {
  readonly #folder: SliceFolder;

  constructor(
    readonly context: ClaimContext,
    readonly range: RangePlan,
    /** Its place in the config; -1 for static addresses. */
    readonly index: number,
    readonly slices: OwnSlices,
  ) {
    this.#folder = slices.folder;
  }

  /** Claims that address. Throws `CniError` code 11 when somebody else has it, or the slice is another node's. */
  async claimExactly(ip: Ip): Promise<Ip> {
    const slices = await this.slices.of(this.range);
    const slice = slices.find((each) => containsIp(each, ip));
    const wanted = `requested IP address ${formatIp(ip)} is not available`;
    if (slice === undefined)
      throw new CniError(code.tryAgainLater, `${wanted}: it is not of this node's slices ${listSlices(slices)}`);
    if (await this.#claim(ip, slice)) return ip;
    const holder = this.#folder.holderOf(formatIp(ip));
    throw new CniError(
      code.tryAgainLater,
      `${wanted} in this node's slices`,
      holder === undefined ? "" : `held by pod ${holder.podref}, interface ${holder.ifName}`,
    );
  }

  /** Claims any address. When the slices that are known are full the store is asked for further ones; throws `CniError` code 50 in the end. */
  async claimAny(): Promise<Ip> {
    const known = await this.#claimFrom(await this.slices.of(this.range));
    if (known !== undefined) return known;
    const slices = await this.slices.of(this.range, true);
    await this.#releaseUnused();
    const found = await this.#claimFrom(slices);
    if (found !== undefined) return found;
    const text = `Could not allocate IP in range: ${this.range.text}`;
    throw new CniError(code.notAvailable, text, `this node's slices ${listSlices(slices)} are full`);
  }

  async #claimFrom(slices: readonly Prefix[]): Promise<Ip | undefined> {
    return (await this.#claimPreferred(slices)) ?? (await this.#claimLowest(slices));
  }

  async #claimPreferred(slices: readonly Prefix[]): Promise<Ip | undefined> {
    for (const ip of this.context.config.preferred) {
      const slice = slices.find((each) => spansContain(this.#spansOf(each), ip));
      if (slice !== undefined && (await this.#claim(ip, slice))) return ip;
    }
    return undefined;
  }

  async #claimLowest(slices: readonly Prefix[]): Promise<Ip | undefined> {
    const taken = new Set(this.#folder.addresses());
    for (const slice of slices) {
      for (;;) {
        const free = firstFree(this.#spansOf(slice), (ip) => taken.has(formatIp(ip)), window);
        if (free.length === 0) break;
        for (const ip of free) {
          if (await this.#claim(ip, slice)) return ip;
          taken.add(formatIp(ip));
        }
      }
    }
    return undefined;
  }

  /** What the range excludes is not given out of its slices either. */
  #spansOf(slice: Prefix): Spans {
    return spansOfSlice(this.range.spans, slice, this.range.isL3);
  }

  async #claim(ip: Ip, slice: Prefix): Promise<boolean> {
    const { journal, owner, containerId, ifName, podref, config } = this.context;
    const address = formatIp(ip);
    const isReserved = config.isOverlapChecked;
    const local = this.#localClaim(ip, slice);
    journal.intend(local);
    if (!this.#folder.take(address, { owner, containerId, ifName, podref, isReserved })) {
      journal.gone(local.name);
      return false;
    }
    journal.made(local.name, owner);
    if (isReserved && !(await this.#reserve(ip, slice, local))) {
      this.#folder.release(address, owner);
      journal.gone(local.name);
      return false;
    }
    this.context.log.verbose(`claimed ${address} of this node's slice for ${podref} ${ifName}`, {
      pool: local.hint.pool,
    });
    return true;
  }

  async #reserve(ip: Ip, slice: Prefix, local: JournalClaim): Promise<boolean> {
    const { slice: _, ...rest } = local;
    const name = reservationName(ip, this.context.config.networkName);
    const claim = { ...rest, name, hasFinalizer: isShared(this.context) };
    return (await createClaim(this.context, claim, { pool: local.hint.pool, network: networkOf(slice) })) !== undefined;
  }

  #localClaim(ip: Ip, slice: Prefix): JournalClaim {
    const { owner, config, node } = this.context;
    const address = formatIp(ip);
    return {
      // Two ranges may share addresses: what one of them tries must not look like the other's own.
      name: `slice ${address} of range ${this.index}`,
      owner,
      address: `${address}/${this.range.network.bits}`,
      range: this.index,
      hasFinalizer: false,
      slice: { folder: this.#folder.name, address },
      hint: { pool: slicePool(slice, config.networkName, node), key: keyOf(networkOf(slice), ip) ?? "0" },
      releaseDelayMs: config.releaseDelayMs,
    };
  }

  /**
   * Addresses that have rested for `release_delay_seconds`, and what a power cut left: journals are written before files, so that is a file whose
   * attachment has none, and which is not at rest.
   */
  async #releaseUnused(): Promise<void> {
    const { config, pools } = this.context;
    const { dataDir } = config;
    const { releaseDue, restingClaims } = await import("./delayed.ts");
    await releaseDue(dataDir, async (source) => (Bun.deepEquals(source, pools.source) ? pools : undefined));
    const resting = restingClaims(dataDir);
    for (const address of this.#folder.addresses()) {
      const holder = this.#folder.holderOf(address);
      if (holder === undefined) this.#folder.release(address, "");
      else if (holder.owner !== "" && !resting.has(holder.owner) && !Journal.exists(dataDir, holder))
        this.#folder.release(address, holder.owner);
    }
  }
}
