import { pause } from "../libc/pause.ts";
import type { Unsettled } from "./index-plan.ts";

export interface IndexTimes {
  /**
   * Between two requests about one pool, so that Go nodes find a moment to write between them; half as long as the last one took, if that is
   * longer.
   */
  readonly gapMs: number;
  /**
   * How long a claim may be missing from what is seen before its entry goes; and the reservation behind an entry of Go, which writes the entry first,
   * before other pools are told of it.
   */
  readonly settleMs: number;
  /** How long an entry that its node writes may be missing before it is written here: as long as that node's DEL takes from the entry to the claim. */
  readonly entryMs?: number;
}

const shortestGapMs = 200;
/** A server takes longer to write a larger pool; with what that takes itself, an index is still a second old at most. */
const longestGapMs = 700;
const gapPerEntryMs = 0.35;

/** For a pool of so many entries by now. */
export function timesFor(entries: () => number): IndexTimes {
  return {
    get gapMs() {
      return Math.min(longestGapMs, Math.max(shortestGapMs, entries() * gapPerEntryMs));
    },
    settleMs: 500,
    entryMs: 150,
  };
}

/** When one pool is written: one run at a time, soon after a mark, with a pause between runs. */
export class PoolSchedule {
  readonly #write: () => Promise<boolean>;
  readonly #signal: AbortSignal;
  readonly #times: IndexTimes;
  readonly #unseenSince = new Map<string, number>();
  #isMarked = false;
  #running: Promise<void> | undefined;

  /** `write` says whether all is done; otherwise it is called again. */
  constructor(write: () => Promise<boolean>, signal: AbortSignal, times: IndexTimes) {
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
    const { settleMs, entryMs = settleMs } = this.#times;
    const since = this.#unseenSince.get(nameOf(unsettled));
    return since !== undefined && performance.now() - since >= (unsettled.lacks === "entry" ? entryMs : settleMs);
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
      const isDone = await this.#write();
      await pause(Math.max(this.#times.gapMs, (performance.now() - began) / 2), this.#signal);
      this.#isMarked ||= !isDone;
    }
  }
}

function nameOf({ key, lacks }: Unsettled): string {
  return `${lacks} ${key}`;
}
