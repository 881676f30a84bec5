import { libc } from "./ffi.ts";

/** An open file descriptor with one owner: `using` closes it; after that `number` throws instead of naming a stranger's file. */
export class Fd implements Disposable {
  #number: number;

  constructor(
    number: number,
    readonly subject: string,
  ) {
    this.#number = number;
  }

  get number(): number {
    if (this.#number < 0) throw new RangeError(`${this.subject} was used after it was closed`);
    return this.#number;
  }

  /** Closes it; a second call does nothing. Linux frees the number even when close(2) reports an error, so none is raised. */
  [Symbol.dispose](): void {
    if (this.#number < 0) return;
    libc().close(this.#number);
    this.#number = -1;
  }
}
