import { pause } from "../kube/pause.ts";

export interface IndexTimes {
  /** Between two requests about one pool, so that Go nodes find a moment to write between them; as long as the last one took, if that is longer. */
  readonly gapMs: number;
  /** How long a claim may be missing from what is seen before its entry goes. */
  readonly settleMs: number;
}

const defaultTimes: IndexTimes = { gapMs: 200, settleMs: 500 };

/** When one pool is written: one run at a time, soon after a mark, with a pause between runs. */
export class PoolSchedule {
  readonly #write: () => Promise<boolean>;
  readonly #signal: AbortSignal;
  readonly #times: IndexTimes;
  readonly #unseenSince = new Map<string, number>();
  #isMarked = false;
  #running: Promise<void> | undefined;

  /** `write` says whether all is done; otherwise it is called again. */
  constructor(write: () => Promise<boolean>, signal: AbortSignal, times: IndexTimes = defaultTimes) {
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

  /** True when the claim of that key has been missing for long enough. */
  isSettled(key: string): boolean {
    const since = this.#unseenSince.get(key);
    return since !== undefined && performance.now() - since >= this.#times.settleMs;
  }

  /** These entries lack their claims, and no others. */
  waitFor(keys: readonly string[]): void {
    const wanted = new Set(keys);
    for (const key of this.#unseenSince.keys()) if (!wanted.has(key)) this.#unseenSince.delete(key);
    for (const key of keys) if (!this.#unseenSince.has(key)) this.#unseenSince.set(key, performance.now());
  }

  async #run(): Promise<void> {
    while (this.#isMarked && !this.#signal.aborted) {
      this.#isMarked = false;
      const began = performance.now();
      const isDone = await this.#write();
      await pause(Math.max(this.#times.gapMs, performance.now() - began), this.#signal);
      this.#isMarked ||= !isDone;
    }
  }
}
