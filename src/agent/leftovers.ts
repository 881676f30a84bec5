import type { Logger } from "../log/logger.ts";

/** Never rejects. */
export type Work = () => Promise<void>;

/** What calls of a worker have left to be done when their callers have their answers: events for pods. It goes on beside later calls. */
export class Leftovers {
  readonly #running = new Set<Promise<void>>();
  #next: Work[] = [];

  /** How much of what was begun has not ended. */
  get size(): number {
    return this.#running.size;
  }

  /** For `begin`. */
  add(work: Work): void {
    this.#next.push(work);
  }

  /** Begins what was added, in that order. */
  begin(): void {
    const next = this.#next;
    this.#next = [];
    for (const work of next) {
      const running = work().finally(() => this.#running.delete(running));
      this.#running.add(running);
    }
  }

  /** Comes back when all that was begun has ended, or after `timeoutMs`, and then says in the log that it has not. */
  async settle(timeoutMs: number, log: Logger): Promise<void> {
    if (this.#running.size === 0) return;
    const late = new Promise<void>((resolve) => {
      // Must not keep the process alive when all has ended in time.
      setTimeout(resolve, timeoutMs).unref();
    });
    await Promise.race([Promise.all(this.#running), late]);
    if (this.#running.size > 0)
      log.error(`calls whose events were not delivered within ${timeoutMs / 1000} s: ${this.#running.size}`);
  }
}
