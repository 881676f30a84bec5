import { Netns } from "./netns.ts";

/**
 * A namespace that is known by its path and opened when first needed, at most once: all attachments of a pod share the descriptor
 * and its socket. `using` closes what was opened.
 */
export class NetnsRef implements Disposable {
  #opened: Netns | undefined;

  constructor(readonly path: string) {}

  /** The open namespace. Throws `NetnsError` as `Netns.open` does. */
  open(): Netns {
    this.#opened ??= Netns.open(this.path);
    return this.#opened;
  }

  /** As `open`; undefined when the namespace is gone or no path was given. */
  openIfExists(): Netns | undefined {
    this.#opened ??= Netns.openIfExists(this.path);
    return this.#opened;
  }

  [Symbol.dispose](): void {
    this.#opened?.[Symbol.dispose]();
    this.#opened = undefined;
  }
}
