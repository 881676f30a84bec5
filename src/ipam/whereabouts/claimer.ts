import { CniError, code } from "../../cni/error.ts";
import { formatIp, type Ip } from "../../ip/address.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import { indexId } from "../../pool/claim.ts";
import type { Age } from "../../cluster/pools/port.ts";
import { keyOf } from "../../pool/key.ts";
import { firstFree, spansContain } from "../../pool/spans.ts";
import { enterTogether } from "./batch.ts";
import { type ClaimContext, isShared } from "./claim-context.ts";
import { createClaim } from "./create-claim.ts";
import { HintFile } from "./hint.ts";
import type { JournalClaim } from "./journal.ts";
import type { MadeClaim } from "./drop.ts";
import { PoolView } from "./pool-view.ts";
import type { RangePlan } from "./range-plan.ts";

/**
 * Among how many of the free addresses the guesses choose, until the names of all reservations are listed. One conflict is no competition yet:
 * somebody holds an address that the pool does not show.
 */
const windows = [1, 1, 8, 64, 512, 4096] as const;
const largestWindow = 4096;
/** How often all that is left is tried: each time somebody else was faster everywhere. */
const lastRounds = 8;

/**
 * Claims addresses of one range. Who creates the reservation named after an address has it: so no two can, whatever they think is free. The
 * pool's map and what this node remembers only serve to guess well: the lowest free address when nobody competes, one of a growing window of free
 * ones after conflicts, and in the end every address whose name is not taken.
 */
export class RangeClaimer {
  readonly #hints: HintFile;
  readonly #view: PoolView;

  constructor(
    readonly context: ClaimContext,
    readonly range: RangePlan,
    /** Its place in the config; -1 for static addresses. */
    readonly index: number,
  ) {
    this.#hints = new HintFile(context.config.dataDir, range.pool, !context.pools.hasCheapNames);
    this.#view = new PoolView(context, range);
  }

  /** Claims that address. Throws `CniError` code 11 when somebody else has it. */
  async claimExactly(ip: Ip): Promise<Ip> {
    await this.#view.look(undefined);
    if (this.#view.isHeldByEntry(this.#keyOf(ip))) await this.#view.checkElsewhere();
    if (await this.#claim(ip, this.#hints.read().window)) return ip;
    const held = await this.context.pools.getReservation(this.#view.namesOf(ip)[0]);
    throw new CniError(
      code.tryAgainLater,
      `requested IP address ${formatIp(ip)} is not available in range ${formatPrefix(this.range.network)}`,
      held === undefined ? "" : `held by pod ${held.podref}, interface ${held.ifName}`,
    );
  }

  /** Claims any address. Throws `CniError` code 50 when all are held. */
  async claimAny(): Promise<Ip> {
    const { config, pools } = this.context;
    const hint = this.#hints.read();
    if (pools.hasCheapNames || hint.isIndexBehind) await this.#view.look("recent");
    else await this.#view.guess();
    for (const ip of config.preferred) if (this.#isFree(ip) && (await this.#claim(ip, hint.window))) return ip;
    for (const least of windows) {
      const choice = this.#choose(least);
      if (choice === undefined) return await this.#claimLast();
      if (await this.#claim(choice.ip, choice.window)) return choice.ip;
    }
    this.#hints.indexIsBehind();
    return await this.#claimLast();
  }

  /** One of the first free addresses, and among how many the next claim is to choose. */
  #choose(least: number): { readonly ip: Ip; readonly window: number } | undefined {
    let choice: { readonly ip: Ip; readonly window: number } | undefined;
    this.#hints.choose(({ avoided, window }) => {
      const width = Math.max(least, window);
      const isTaken = (each: Ip): boolean => this.#view.isTaken(each) || avoided.has(this.#keyOf(each));
      const free = firstFree(this.range.spans, isTaken, width);
      const ip = free[width === 1 ? 0 : Math.floor(Math.random() * free.length)];
      if (ip === undefined) return undefined;
      choice = { ip, window: least === 1 ? Math.max(1, Math.floor(window / 2)) : width };
      return this.#keyOf(ip);
    });
    return choice;
  }

  /** Nothing but the names of all reservations counts now: each address that has none is tried, until none is left. */
  async #claimLast(): Promise<Ip> {
    let mayCollect = true;
    let age: Age = "recent";
    for (let round = 0; round < lastRounds; round++) {
      await this.#view.look(age);
      const free = firstFree(this.range.spans, (ip) => this.#view.isTaken(ip), largestWindow);
      if (free.length === 0 && age === "recent") {
        // Before nothing is said to be left, the store itself is asked.
        age = "now";
        continue;
      }
      if (free.length === 0) {
        const { collectReleasable, exhausted } = await import("./exhausted.ts");
        const isFreed =
          mayCollect && ((await this.#view.checkElsewhere()) || (await collectReleasable(this.context, this.range)));
        if (!isFreed) throw await exhausted(this.context, this.range, this.#view.heldElsewhere);
        mayCollect = false;
      }
      for (let ip = this.#takeFrom(free); ip !== undefined; ip = this.#takeFrom(free))
        if (await this.#claim(ip, largestWindow)) return ip;
    }
    throw new CniError(
      code.tryAgainLater,
      `Could not allocate IP in range: ${this.range.text}`,
      "each free address was taken by somebody else at the same moment",
    );
  }

  /** Takes one of the addresses out by chance, rather one that no other call of this node is about to try. */
  #takeFrom(free: Ip[]): Ip | undefined {
    let taken: Ip | undefined;
    this.#hints.choose(({ avoided }) => {
      const others = free.filter((ip) => !avoided.has(this.#keyOf(ip)));
      const from = others.length > 0 ? others : free;
      taken = from[Math.floor(Math.random() * from.length)];
      return taken && this.#keyOf(taken);
    });
    if (taken !== undefined) free.splice(free.indexOf(taken), 1);
    return taken;
  }

  #keyOf(ip: Ip): string {
    return (ip.value - this.range.network.ip.value).toString();
  }

  #isFree(ip: Ip): boolean {
    return spansContain(this.range.spans, ip) && !this.#view.isTaken(ip);
  }

  /** Claims the address by all its names; false when somebody else has it, and then nothing is left behind. */
  async #claim(ip: Ip, window: number): Promise<boolean> {
    const { podref, ifName } = this.context;
    const { pool } = this.range;
    const key = keyOf(this.range.network, ip);
    if (key === undefined || this.#view.isHeldByEntry(key)) return await this.#refused(ip, []);
    const made: MadeClaim[] = [];
    for (const name of this.#view.namesOf(ip)) {
      const claim = await createClaim(
        this.context,
        this.#journalClaim(name, ip, key, made.length === 0),
        this.range,
        this.#needsEntry,
      );
      if (claim === undefined) return await this.#refused(ip, made);
      made.push(claim);
    }
    if (this.#needsEntry && !(await this.#enter(key))) return await this.#refused(ip, made);
    this.#hints.claimed(key, window);
    this.context.log.verbose(`claimed ${formatIp(ip)} for ${podref} ${ifName}`, { pool });
    return true;
  }

  /** Puts the entry into the pool; false when whereabouts has the address. */
  async #enter(key: string): Promise<boolean> {
    const { podref, ifName, pools, config } = this.context;
    const entry = { id: this.#entryId, podref, ifname: ifName };
    try {
      return await enterTogether(pools, config.dataDir, this.range.pool, { op: "add", key, entry });
    } catch (error) {
      // It may be gone since somebody has seen it.
      this.#view.forget();
      throw error;
    }
  }

  async #refused(ip: Ip, made: readonly MadeClaim[]): Promise<false> {
    for (const { name, uid, hasFinalizer } of made) {
      await this.context.pools.deleteReservation(name, uid, hasFinalizer);
      this.context.journal.gone(name);
    }
    this.#view.refuse(ip);
    this.#hints.refused(this.#keyOf(ip));
    return false;
  }

  #journalClaim(name: string, ip: Ip, key: string, isFirst: boolean): JournalClaim {
    const { config, owner } = this.context;
    const hint = { pool: this.range.pool, key };
    return {
      name,
      owner,
      address: `${formatIp(ip)}/${this.range.network.bits}`,
      range: this.index,
      hasFinalizer: isShared(this.context),
      hint,
      ...(isFirst && this.#needsEntry ? { entry: { ...hint, id: this.#entryId } } : {}),
      releaseDelayMs: config.releaseDelayMs,
    };
  }

  get #entryId(): string {
    return indexId(this.context.containerId, this.context.owner);
  }

  /** Go code that does not check for overlaps looks at the pool alone. */
  get #needsEntry(): boolean {
    return isShared(this.context) && !this.context.config.isOverlapChecked;
  }
}
