import { pause } from "../libc/pause.ts";
import { isEnteredId } from "../pool/claim.ts";
import type { Unsettled } from "./index-plan.ts";

export interface IndexTimes {
  /** Between a request about a pool that took so long and the next one. */
  readonly gapMs: (tookMs: number) => number;
  /**
   * How long a claim may be missing from what is seen before its entry goes; and the reservation behind an entry of Go, which writes the entry first,
   * before other pools are told of it.
   */
  readonly settleMs: number;
  /** How long an entry that its node writes may be missing before it is written here: as long as that node's DEL takes from the entry to the claim. */
  readonly entryMs?: number;
  /** How long the claim of such an entry may be missing: its node takes the entry out itself, some time after the claim. */
  readonly enteredMs?: number;
}

/** What came of a run. */
export interface WriteOutcome {
  /** Nothing is left that could be done later. */
  readonly isDone: boolean;
  /** The server was asked to change the pool. */
  readonly hasAsked: boolean;
}

/** Go nodes find a moment to write between two requests, however small the pool is. */
const shortestGapMs = 200;
/** A server takes longer to write a larger pool, and is spared the more. */
const longestGapMs = 700;
const gapPerEntryMs = 0.35;
/** How far the index may be behind. */
const wantedLagMs = 1000;
/** Marks come in numbers, and looking at a large pool takes some milliseconds too. */
const lookGapMs = 50;

/** For a pool of so many entries by now. */
export function timesFor(entries: () => number): IndexTimes {
  return { gapMs: (tookMs) => gapAfter(entries(), tookMs), settleMs: 500, entryMs: 150, enteredMs: 3000 };
}

/**
 * How long to leave a pool of so many entries alone after a request of so many ms. What was claimed just after that one had begun waits for its end, for
 * this time, and for the next one, so the slower the server the less of a second is left; but it always has a third as long to recover as it took.
 */
export function gapAfter(entries: number, tookMs: number): number {
  const spared = Math.min(longestGapMs, entries * gapPerEntryMs, wantedLagMs - 2 * tookMs);
  return Math.max(shortestGapMs, tookMs / 3, spared);
}

/** When one pool is written: one run at a time, soon after a mark, with a pause between runs. */
export class PoolSchedule {
  readonly #write: () => Promise<WriteOutcome>;
  readonly #signal: AbortSignal;
  readonly #times: IndexTimes;
  readonly #unseenSince = new Map<string, number>();
  #isMarked = false;
  #running: Promise<void> | undefined;

  /** `write` is called again until all is done. */
  constructor(write: () => Promise<WriteOutcome>, signal: AbortSignal, times: IndexTimes) {
    this.#write = write;
    this.#signal = signal;
    this.#times = times;
  }

  /** There may be something to write. Rejects, for every mark meanwhile, with what `write` threw. */
  async mark(): Promise<void> {
    this.#isMarked = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  /** True when it has been missing for long enough. */
  isSettled(unsettled: Unsettled): boolean {
    const since = this.#unseenSince.get(nameOf(unsettled));
    return since !== undefined && performance.now() - since >= this.#timeFor(unsettled);
  }

  #timeFor(unsettled: Unsettled): number {
    const { settleMs, entryMs = settleMs, enteredMs = settleMs } = this.#times;
    if (unsettled.lacks === "entry") return entryMs;
    return unsettled.lacks === "claim" && isEnteredId(unsettled.id) ? enteredMs : settleMs;
  }

  /** These are missing, and no others. */
  waitFor(unsettled: readonly Unsettled[]): void {
    const wanted = new Set(unsettled.map(nameOf));
    for (const name of this.#unseenSince.keys()) if (!wanted.has(name)) this.#unseenSince.delete(name);
    for (const name of wanted) if (!this.#unseenSince.has(name)) this.#unseenSince.set(name, performance.now());
  }

  async #run(): Promise<void> {
    while (this.#isMarked && !this.#signal.aborted) {
      this.#isMarked = false;
      const began = performance.now();
      const { isDone, hasAsked } = await this.#write();
      const gapMs = this.#times.gapMs(performance.now() - began);
      // Who has only looked keeps nobody waiting who has something to write.
      await pause(isDone && !hasAsked ? lookGapMs : gapMs, this.#signal);
      this.#isMarked ||= !isDone;
    }
  }
}

/** Of an entry that has become another one's the claim has only been missing since then. */
function nameOf(unsettled: Unsettled): string {
  const { key, lacks } = unsettled;
  return unsettled.lacks === "claim" ? `${lacks} ${key} ${unsettled.id}` : `${lacks} ${key}`;
}
