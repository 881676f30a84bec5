/** How long a server has for what is still to be said once the program is told to end, the release of a Lease above all. */
const lastWordsMs = 1000;

/**
 * Aborted a second after `told`: what still waits for a server then waits in vain. It keeps no process alive, and is aborted never when
 * `told` is not.
 */
export function afterLastWords(told: AbortSignal): AbortSignal {
  const end = new AbortController();
  const begin = (): void => void setTimeout(() => end.abort(), lastWordsMs).unref();
  if (told.aborted) begin();
  else told.addEventListener("abort", begin, { once: true });
  return end.signal;
}

/**
 * Ends a request after so many ms, or when `end` is aborted: as `AbortSignal.any` would, which keeps something of every request for as long as
 * `end` lives, and that is as long as the program.
 */
export class RequestLimit implements Disposable {
  readonly #controller = new AbortController();
  readonly #end: AbortSignal;
  readonly #timer: Timer;

  constructor(limitMs: number, end: AbortSignal) {
    this.#end = end;
    this.#timer = setTimeout(this.#abort, limitMs);
    end.addEventListener("abort", this.#abort, { once: true });
    if (end.aborted) this.#abort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#end.removeEventListener("abort", this.#abort);
  }

  readonly #abort = (): void => this.#controller.abort(new DOMException("limit", "TimeoutError"));
}
