import { isForbidden, isUnavailable, KubeError } from "../kube/error.ts";
import type { KubeClient } from "../kube/client.ts";
import { pause } from "../libc/pause.ts";
import { ipPools, reservations } from "../kube/resource.ts";
import { backoffMs } from "../kube/retry.ts";
import type { Logger } from "../log/logger.ts";
import type { PoolChange, Pools } from "../cluster/pools/port.ts";
import { ClusterError, isClusterError } from "../cluster/port.ts";
import { allocationOf, claimFactsOf, isIndexId, isSliceId } from "../pool/claim.ts";
import { type IpPool, type Reservation, reservationOf, reservationSchema } from "../pool/objects.ts";
import { elsewhereAnnotation, heldElsewhere, mostElsewhere } from "../pool/held-elsewhere.ts";
import { formatKeys } from "../pool/key-runs.ts";
import { makeClaimedPool } from "./claimed-pool.ts";
import { follow } from "./follow.ts";
import { type Conflict, planIndex, type Unsettled } from "./index-plan.ts";
import { Overlaps } from "./overlaps.ts";
import { PoolSchedule, timesFor, type WriteOutcome } from "./pool-schedule.ts";
import type { Restorer } from "./restorer.ts";
import { type WholePool, wholePoolSchema, WholePools } from "./whole-pools.ts";
import { type IndexNotes, replaceIndex, usedAnnotation, usedText, writeIndex } from "./write-index.ts";

export interface IndexerOptions {
  readonly namespace: string;
  readonly pools: Pools;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Told of what Go had made and somebody took away. */
  readonly restorer?: Pick<Restorer, "reservationGone" | "entryGone">;
}

const longestDelayMs = 10_000;
/** Entries changed by one request: what is left follows with the next one. */
const largestBatch = 500;
/** Entries from which on the server's records of who manages them cost noticeable time. */
const largePool = 200;
/** Where nodes write the entries of a pool themselves, it is not written anew for each just to say how many there are; a large one least of all. */
const countEveryMs = 1000;
const countLargeEveryMs = 5000;
/** So long a node that writes the entries of its claims itself is given for a new one. */
const enterWithinMs = 3000;

/**
 * Keeps the map of every pool in step with the claims on its addresses, from what is watched of both, until the signal is aborted. One request
 * per pool is on its way at a time, and each makes all changes that are due. Makes pools that claims speak of and that do not exist.
 * Whatever is written has the state that it is for as its condition: a second indexer, or one that was cut off for a while, does no harm.
 */
export class Indexer {
  readonly #client: KubeClient;
  readonly #options: IndexerOptions;
  readonly #pools = new Map<string, IpPool>();
  readonly #overlaps = new Overlaps(this.#pools);
  readonly #wholes = new WholePools();
  readonly #claims = new Map<string, Map<string, Reservation>>();
  readonly #schedules = new Map<string, PoolSchedule>();
  readonly #known = new Set<string>();
  /** Claims that were made since the last list. */
  readonly #appearedAt = new Map<string, number>();
  readonly #writtenAt = new Map<string, number>();
  readonly #stop = new AbortController();
  #failure: unknown;
  #hasPools = false;
  #hasClaims = false;

  constructor(client: KubeClient, options: IndexerOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Resolves when the signal is aborted and nothing is on its way any more. Rejects as `follow` does. */
  async run(): Promise<void> {
    const { namespace, log } = this.#options;
    const shared = { namespace, signal: this.#signal, log };
    const both = [
      follow(this.#client, ipPools, wholePoolSchema, {
        ...shared,
        onList: (all) => this.#listPools(all),
        onChange: (type, whole) => this.#changePool(type, whole),
      }),
      follow(this.#client, reservations, reservationSchema, {
        ...shared,
        onList: (objects) => this.#listClaims(objects.map(reservationOf)),
        onChange: (type, object) => this.#changeClaim(type, reservationOf(object)),
      }),
    ];
    try {
      await Promise.all(both);
    } finally {
      this.#stop.abort();
      await Promise.allSettled(both);
      await Promise.allSettled([...this.#schedules.values()].map((schedule) => schedule.mark()));
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  get #signal(): AbortSignal {
    return AbortSignal.any([this.#options.signal, this.#stop.signal]);
  }

  #listPools(all: readonly WholePool[]): void {
    this.#wholes.list(all);
    const before = [...this.#pools.keys()];
    this.#pools.clear();
    for (const { pool } of all) this.#pools.set(pool.name, pool);
    this.#overlaps.poolsChanged();
    this.#hasPools = true;
    for (const name of new Set([...before, ...this.#pools.keys(), ...this.#claims.keys()])) this.#mark(name);
  }

  #changePool(type: string, whole: WholePool): void {
    const { pool } = whole;
    const neighbours = this.#overlaps.neighboursOf(pool.name);
    if (type === "DELETED") this.#forget(pool.name);
    else {
      this.#wholes.see(whole);
      this.#see(pool);
    }
    this.#mark(pool.name);
    // Those that were there before a pool went, and those that are there when it came.
    for (const name of new Set([...neighbours, ...this.#overlaps.neighboursOf(pool.name)])) this.#mark(name);
  }

  #forget(name: string): void {
    this.#pools.delete(name);
    this.#wholes.forget(name);
    this.#overlaps.poolsChanged();
  }

  /** Takes in what a pool is now. */
  #see(pool: IpPool): void {
    const before = this.#pools.get(pool.name);
    this.#pools.set(pool.name, pool);
    if (before?.uid !== pool.uid) this.#overlaps.poolsChanged();
    const { restorer } = this.#options;
    if (restorer === undefined || before?.uid !== pool.uid) return;
    for (const key of Object.keys(before.allocations)) {
      if (Object.hasOwn(pool.allocations, key)) continue;
      const entry = allocationOf(before.allocations, key);
      if (entry !== undefined && !isIndexId(entry.id) && !isSliceId(entry.id)) restorer.entryGone(pool, key, entry);
    }
  }

  #listClaims(claims: readonly Reservation[]): void {
    const before = [...this.#claims.keys()];
    this.#claims.clear();
    this.#overlaps.clear();
    this.#appearedAt.clear();
    for (const claim of claims) this.#put(claim);
    this.#hasClaims = true;
    for (const name of new Set([...before, ...this.#claims.keys(), ...this.#pools.keys()])) this.#mark(name);
  }

  #changeClaim(type: string, claim: Reservation): void {
    const facts = claimFactsOf(claim);
    if (facts === undefined) this.#changeOfGo(type, claim);
    const { pool = "" } = facts ?? {};
    if (pool === "") return;
    if (type === "ADDED") this.#appearedAt.set(claim.name, performance.now());
    if (type === "DELETED") {
      this.#claims.get(pool)?.delete(claim.name);
      this.#appearedAt.delete(claim.name);
    } else this.#put(claim);
    this.#mark(pool);
  }

  #changeOfGo(type: string, reservation: Reservation): void {
    if (type === "DELETED") this.#overlaps.released(reservation);
    else this.#overlaps.reserved(reservation);
    if (type === "DELETED") this.#options.restorer?.reservationGone(reservation);
    for (const name of this.#overlaps.poolsOf(reservation)) this.#mark(name);
  }

  #put(claim: Reservation): void {
    const facts = claimFactsOf(claim);
    if (facts === undefined) this.#overlaps.reserved(claim);
    const { pool = "" } = facts ?? {};
    if (pool === "") return;
    const claims = this.#claims.get(pool) ?? new Map<string, Reservation>();
    claims.set(claim.name, claim);
    this.#claims.set(pool, claims);
  }

  /** Nothing is written before both kinds of objects were seen: a claim that was not listed yet is none that is missing. */
  #mark(name: string): void {
    if (!this.#hasPools || !this.#hasClaims) return;
    this.#schedule(name)
      .mark()
      .catch((error: unknown) => {
        this.#failure ??= error;
        this.#stop.abort();
      });
  }

  #schedule(name: string): PoolSchedule {
    let schedule = this.#schedules.get(name);
    if (schedule === undefined) {
      const entries = (): number => Object.keys(this.#pools.get(name)?.allocations ?? {}).length;
      schedule = new PoolSchedule(() => this.#write(name), this.#signal, timesFor(entries));
      this.#schedules.set(name, schedule);
    }
    return schedule;
  }

  async #write(name: string): Promise<WriteOutcome> {
    try {
      return await this.#bring(name);
    } catch (error) {
      if (!(error instanceof KubeError) && !(error instanceof ClusterError)) throw error;
      this.#options.log.error(`pool ${name}: ${error.message}`);
      const isPassing = isUnavailable(error) || isClusterError(error, "unavailable");
      await pause(isPassing ? backoffMs(4, longestDelayMs) : longestDelayMs, this.#options.signal);
      return { isDone: false, hasAsked: true };
    }
  }

  async #bring(name: string): Promise<WriteOutcome> {
    const claims = this.#claims.get(name) ?? new Map<string, Reservation>();
    const pool = this.#pools.get(name) ?? (await this.#make(name, claims));
    if (pool === undefined) return { isDone: true, hasAsked: false };
    const schedule = this.#schedule(name);
    const plan = planIndex(pool, claims.values(), (open) => schedule.isSettled(open) && !this.#isYoung(open));
    const [elsewhere, awaited] = this.#elsewhere(pool, schedule);
    const unsettled = [...plan.unsettled, ...awaited];
    schedule.waitFor(unsettled);
    this.#tell(plan.conflicts);
    const notes = { used: usedText(pool.range, plan.held), elsewhere, isLarge: isLarge(pool) };
    const changes = plan.changes.slice(0, largestBatch);
    const isDone = changes.length === plan.changes.length && unsettled.length === 0;
    if (changes.length === 0 && (pool.annotations[elsewhereAnnotation] ?? "") === elsewhere) {
      if (pool.annotations[usedAnnotation] === notes.used) return { isDone, hasAsked: false };
      if (!this.#mayCount(pool)) return { isDone: false, hasAsked: false };
    }
    const written = await this.#send(pool, changes, notes);
    if (written === undefined) {
      // Somebody else has changed what we wanted to: look at it anew.
      const current = await this.#options.pools.getPool(name);
      if (current === undefined) this.#forget(name);
      else this.#see(current);
      return { isDone: false, hasAsked: true };
    }
    if (this.#pools.get(name) === pool) this.#see(written);
    this.#writtenAt.set(name, performance.now());
    this.#options.log.debug(`pool ${name}: ${changes.length} entries written, ${notes.used} used`);
    return { isDone, hasAsked: true };
  }

  /** As a whole where that is cheaper, else what changes; undefined when a condition does not hold. */
  async #send(pool: IpPool, changes: readonly PoolChange[], notes: IndexNotes): Promise<IpPool | undefined> {
    const { namespace, log } = this.#options;
    const object = this.#wholes.objectOf(pool);
    let written: IpPool | undefined;
    if (object !== undefined) {
      try {
        written = await replaceIndex(this.#client, namespace, { pool, object }, changes, notes);
        if (written === undefined) this.#wholes.refused(pool);
      } catch (error) {
        if (!isForbidden(error)) throw error;
        this.#wholes.forbidden();
        log.verbose(`${error.message}; large pools are patched, which costs the server more`);
      }
    }
    written ??= await writeIndex(this.#client, namespace, pool, changes, notes);
    if (written !== undefined) this.#wholes.wrote(written);
    return written;
  }

  /**
   * What the pool is to say of addresses that are held in others, and what of these is left for now: Go writes an entry first, and the reservation
   * moments later.
   */
  #elsewhere(pool: IpPool, schedule: PoolSchedule): readonly [text: string, unsettled: readonly Unsettled[]] {
    const all = this.#overlaps.unreserved(pool);
    const told = heldElsewhere(pool);
    const keys: string[] = [];
    const unsettled: Unsettled[] = [];
    for (const key of all.slice(0, mostElsewhere)) {
      const open = { lacks: "reservation", key } as const;
      if (told.has(key) || schedule.isSettled(open)) keys.push(key);
      else unsettled.push(open);
    }
    if (all.length > mostElsewhere) {
      const what = "addresses that overlapping pools show as held and that have no reservation";
      this.#sayOnce(`pool ${pool.name}: of ${what} only the first ${mostElsewhere} are kept from being given out`);
    }
    return [formatKeys(keys), unsettled];
  }

  /** True while the claim's node may not have come to write the entry. */
  #isYoung(open: Unsettled): boolean {
    if (open.lacks !== "entry") return false;
    const appeared = this.#appearedAt.get(open.claim.name);
    return appeared !== undefined && performance.now() - appeared < enterWithinMs;
  }

  /** False while nothing but the number of entries would be written into a pool that was written lately. */
  #mayCount(pool: IpPool): boolean {
    const everyMs = isLarge(pool) ? countLargeEveryMs : countEveryMs;
    return performance.now() - (this.#writtenAt.get(pool.name) ?? Number.NEGATIVE_INFINITY) >= everyMs;
  }

  async #make(name: string, claims: ReadonlyMap<string, Reservation>): Promise<IpPool | undefined> {
    const pool = await makeClaimedPool(this.#options.pools, name, claims.values());
    if (pool === undefined) return undefined;
    this.#options.log.verbose(`made pool ${name} of ${pool.range}`);
    this.#see(pool);
    return pool;
  }

  #tell(conflicts: readonly Conflict[]): void {
    for (const { pool, address, claim, entry } of conflicts)
      this.#sayOnce(
        `duplicate: ${address} of pool ${pool} is claimed by ${claim.podref} (${claim.ifName}), and the pool shows ${entry.podref} (${entry.ifname})`,
      );
  }

  #sayOnce(text: string): void {
    if (this.#known.has(text)) return;
    this.#known.add(text);
    this.#options.log.error(text);
  }
}

function isLarge({ allocations }: IpPool): boolean {
  return Object.keys(allocations).length >= largePool;
}
