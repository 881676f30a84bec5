import { CniError, code } from "../../cni/error.ts";
import type { Ip } from "../../ip/address.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import { type ClaimScope, claimScope, claimScopeOf, isHeldByEntry } from "../../pool/claim.ts";
import type { NamesAge } from "../../cluster/pools/port.ts";
import type { IpPool } from "../../pool/objects.ts";
import { type ClaimContext, isShared, namesOf, wantedScope } from "./claim-context.ts";
import type { Hint, HintFile } from "./hint.ts";
import type { RangePlan } from "./range-plan.ts";
import { addressOfName } from "./reservation-address.ts";

/**
 * What one ADD knows of the addresses of a range: from the pool's map, from what this node remembers, or from the names of all reservations. It
 * only serves to choose; whether an address is free is for the store to say.
 */
export class PoolView {
  #pool: IpPool | undefined;
  #names: ReadonlySet<string> | undefined;
  #scope: ClaimScope | undefined;
  /** Keys that turned out to be taken. */
  readonly #refused = new Set<string>();

  constructor(
    readonly context: ClaimContext,
    readonly range: RangePlan,
    readonly hints: HintFile,
    readonly hint: Hint,
  ) {
    this.#scope = hint.scope;
  }

  /** The names that an address is to be claimed by; `look` has to have been called. */
  namesOf(ip: Ip): readonly [string, ...string[]] {
    return namesOf(this.context, this.range, this.#scope, ip);
  }

  /**
   * Reads what may be taken: the pool's map, and if `wanted` the names of all reservations, which are newer. Where no Go code runs, the map is
   * not read when this node has done so just now. Entries that whereabouts made count in any case: their holders may have nothing else.
   */
  async look(wanted: NamesAge | undefined): Promise<void> {
    const shared = isShared(this.context);
    if (wanted === undefined && !shared && this.#scope !== undefined && this.hint.seen !== undefined) return;
    const [names, pool] = await Promise.all([
      wanted === undefined ? undefined : this.context.pools.reservationNames(wanted),
      this.#existingPool(),
    ]);
    this.#requireRange(pool);
    this.#refused.clear();
    this.#names = names === undefined ? undefined : new Set(names);
    this.#pool = pool;
    this.#scope = claimScopeOf(pool);
    if (!shared) this.hints.saw(Object.keys(pool.allocations), this.#scope);
  }

  /** True for an address that is not worth trying. */
  isTaken(ip: Ip): boolean {
    const key = (ip.value - this.range.network.ip.value).toString();
    if (this.#refused.has(key)) return true;
    if (this.#names !== undefined) return this.#hasName(ip) || this.isHeldByEntry(key);
    if (this.hint.own.has(key)) return true;
    return this.#pool === undefined ? this.hint.seen?.has(key) === true : Object.hasOwn(this.#pool.allocations, key);
  }

  /** True when whereabouts has entered a user of the address, who may hold no reservation. */
  isHeldByEntry(key: string): boolean {
    return this.#pool !== undefined && isHeldByEntry(this.#pool, key);
  }

  /** Somebody else was faster. */
  refuse(ip: Ip): void {
    this.#refused.add((ip.value - this.range.network.ip.value).toString());
  }

  #hasName(ip: Ip): boolean {
    for (const name of this.namesOf(ip)) if (this.#names?.has(name) === true) return true;
    return false;
  }

  /** The pool, made when it is missing. */
  async #existingPool(): Promise<IpPool> {
    const { pools } = this.context;
    const pool = await pools.getPool(this.range.pool);
    if (pool !== undefined) return pool;
    const scope = claimScope(await this.#scopeOfNewPool());
    return await pools.createPool(this.range.pool, formatPrefix(this.range.network), scope);
  }

  /** Of a pool that somebody has deleted, and that is made anew, addresses may be claimed by the other name: then both are taken from now on. */
  async #scopeOfNewPool(): Promise<ClaimScope> {
    const wanted = wantedScope(this.context);
    const { networkName } = this.context.config;
    for (const name of await this.context.pools.reservationNames()) {
      const isOther =
        wanted === "network"
          ? name.startsWith(`${this.range.pool}.`)
          : addressOfName(name, networkName, this.range.network) !== undefined;
      if (isOther) return "both";
    }
    return wanted;
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
