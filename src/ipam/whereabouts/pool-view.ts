import { CniError, code } from "../../cni/error.ts";
import type { Ip } from "../../ip/address.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import { type ClaimScope, claimScopeOf, hasClaimScope, isHeldByEntry } from "../../pool/claim.ts";
import type { Age } from "../../cluster/pools/port.ts";
import { heldElsewhere } from "../../pool/held-elsewhere.ts";
import type { IpPool } from "../../pool/objects.ts";
import { type ClaimContext, isShared, namesOf } from "./claim-context.ts";
import { makeOnce } from "./make-once.ts";
import type { RangePlan } from "./range-plan.ts";
import { confirmSeen, forgetSeen, isFresh, readSeen, type SeenPlace, type SeenPool, writeSeen } from "./seen-pool.ts";
import { takeTurn } from "./turn.ts";

/** Reading a pool of so many entries costs more than asking whether it has changed. */
const largePool = 200;

/**
 * What one ADD knows of the addresses of a range: from the pool's map, from what this node remembers, or from the names of all reservations. It
 * only serves to choose; whether an address is free is for the store to say.
 */
export class PoolView {
  #pool: IpPool | undefined;
  #seen: SeenPool | undefined;
  #names: ReadonlySet<string> | undefined;
  #scope: ClaimScope | undefined;
  /** Keys that whereabouts has entered users of in overlapping pools, as far as the controller has told. */
  #elsewhere: ReadonlySet<string> = new Set();
  #isElsewhereChecked = false;
  /** Keys that turned out to be taken. */
  readonly #refused = new Set<string>();

  constructor(
    readonly context: ClaimContext,
    readonly range: RangePlan,
  ) {}

  /** The names that an address is to be claimed by; `look` or `guess` has to have been called. */
  namesOf(ip: Ip): readonly [string, ...string[]] {
    return namesOf(this.context, this.range, this.#scope, ip);
  }

  /** Reads what may be taken: the pool's map, and if `wanted` the names of all reservations, which are newer. */
  async look(wanted: Age | undefined): Promise<void> {
    const [names, pool] = await Promise.all([
      wanted === undefined ? undefined : this.context.pools.reservationNames(wanted),
      this.#existingPool(wanted ?? "now"),
    ]);
    this.#requireRange(pool);
    this.#refused.clear();
    this.#names = names === undefined ? undefined : new Set(names);
    this.#usePool(pool);
  }

  /**
   * As `look` without the names, but what calls of this node have read counts as long as it is good. Entries that whereabouts made count in any case,
   * since their holders may have nothing else: so where they are not tested for when our own is written, that is a moment, or as long as the pool
   * is as it was then.
   */
  async guess(): Promise<void> {
    const began = Date.now();
    if (this.#useFresh(began)) return;
    // Of the calls of a burst one reads for all.
    using _turn = await takeTurn(this.context.config.dataDir, `${this.range.pool}.turn`);
    if (this.#useFresh(began)) return;
    const seen = readSeen(this.#place);
    const askedAt = Date.now();
    if (seen !== undefined && (await this.#isUnchanged(seen))) {
      confirmSeen(this.#place, seen, askedAt);
      this.#useSeen(seen);
      return;
    }
    const found = await this.#existingPool("recent");
    this.#requireRange(found);
    this.#usePool(found);
    writeSeen(this.#place, found, claimScopeOf(found), askedAt);
  }

  /** Uses what calls of this node have read for those that began to look then, if there is such. */
  #useFresh(began: number): boolean {
    const seen = readSeen(this.#place);
    if (seen === undefined || !isFresh(seen, this.#isDecisive, began)) return false;
    this.#useSeen(seen);
    return true;
  }

  #useSeen(seen: SeenPool): void {
    this.#seen = seen;
    this.#scope = seen.scope;
  }

  /** The next call is to read the pool. */
  forget(): void {
    if (this.#seen !== undefined) forgetSeen(this.#place);
  }

  get #place(): SeenPlace {
    const { config, pools } = this.context;
    return { dataDir: config.dataDir, name: this.range.pool, store: pools.where };
  }

  /** True when entries of whereabouts count that nothing else is tested for. */
  get #isDecisive(): boolean {
    return isShared(this.context) && this.context.config.isOverlapChecked;
  }

  async #isUnchanged({ keys, resourceVersion }: SeenPool): Promise<boolean> {
    if (!this.#isDecisive || keys.size < largePool) return false;
    return await this.context.pools.isPoolUnchanged(this.range.pool, resourceVersion);
  }

  #usePool(pool: IpPool): void {
    this.#pool = pool;
    this.#scope = claimScopeOf(pool);
    if (this.context.config.isOverlapChecked && !this.#isElsewhereChecked) this.#elsewhere = heldElsewhere(pool);
  }

  /**
   * Has the overlapping pools themselves say what they hold, since nobody may have kept what this one says of them; true when an address is not held there
   * after all. Asks once, and only when this one names any.
   */
  async checkElsewhere(): Promise<boolean> {
    const told = this.#elsewhere;
    if (this.#isElsewhereChecked || told.size === 0 || this.#pool === undefined) return false;
    const { foreignEntries } = await import("../../pool/foreign-entries.ts");
    const held = new Set<string>();
    const { overlappingPools } = await import("./overlapping-pools.ts");
    for (const { key } of foreignEntries(this.#pool, await overlappingPools(this.context.pools, this.range, "now")))
      if (told.has(key)) held.add(key);
    this.#elsewhere = held;
    this.#isElsewhereChecked = true;
    return held.size < told.size;
  }

  /** How many addresses are held in overlapping pools alone. */
  get heldElsewhere(): number {
    return this.#elsewhere.size;
  }

  /** True for an address that is not worth trying. */
  isTaken(ip: Ip): boolean {
    const key = (ip.value - this.range.network.ip.value).toString();
    if (this.#refused.has(key)) return true;
    if (this.#names !== undefined) return this.#hasName(ip) || this.isHeldByEntry(key);
    if (this.#pool === undefined) return this.#seen?.keys.has(key) === true;
    return Object.hasOwn(this.#pool.allocations, key) || this.#elsewhere.has(key);
  }

  /** True when whereabouts has entered a user of the address, in whichever pool, who may hold no reservation. */
  isHeldByEntry(key: string): boolean {
    return this.#elsewhere.has(key) || (this.#pool !== undefined && isHeldByEntry(this.#pool, key));
  }

  /** Somebody else was faster. */
  refuse(ip: Ip): void {
    this.forget();
    this.#refused.add((ip.value - this.range.network.ip.value).toString());
  }

  #hasName(ip: Ip): boolean {
    for (const name of this.namesOf(ip)) if (this.#names?.has(name) === true) return true;
    return false;
  }

  /** The pool, made when it is missing, and with its scope settled. */
  async #existingPool(age: Age): Promise<IpPool> {
    const { pools, config } = this.context;
    const { pool, network } = this.range;
    const make = async () => {
      const { annotationsOfNewPool } = await import("./new-pool.ts");
      return await pools.createPool(pool, formatPrefix(network), await annotationsOfNewPool(this.context, this.range));
    };
    const found = await pools.getPool(pool, age);
    if (found !== undefined && hasClaimScope(found)) return found;
    if (found !== undefined) {
      const { settleScope } = await import("./new-pool.ts");
      return await settleScope(this.context, this.range, found);
    }
    return pools.hasCheapNames ? await make() : await makeOnce(config.dataDir, pool, () => pools.getPool(pool), make);
  }

  /** A pool that somebody made by hand may count its keys from another address. */
  #requireRange({ range }: IpPool): void {
    const want = formatPrefix(this.range.network);
    if (range === want) return;
    throw new CniError(
      code.invalidConfig,
      `ippool ${this.range.pool} has range ${JSON.stringify(range)}, expected ${JSON.stringify(want)}: keys must not count from host bits`,
      "whereabouts reckons wrong with them; delete the pool when nothing uses it",
    );
  }
}
