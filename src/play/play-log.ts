import { existsSync, readFileSync, statSync } from "node:fs";
import { oneLine } from "../words/one-line.ts";
import { repeats } from "../words/repeats.ts";
import type { PodFailure } from "./pod-failure.ts";

/** What the dispatcher writes in front of a failure that it reports too. */
const failurePrefix = /^Multus: \[[^\]]*\]: /;
/** As `formatText` writes it; of another level is what a person need not know. */
const complaint = /^\S+ \[(?:error|panic)\] (.*)$/;

/** The log that the dispatcher writes while pods are played: what it had to say of those that came up too. */
export class PlayLog {
  readonly #beginning: number;

  /** From where the file ends now; there need not be one yet. */
  constructor(readonly path: string) {
    this.#beginning = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /**
   * The warnings that were logged since, each once, without what the failures tell. After a rotation those since the new file was begun.
   * Empty when nothing was logged.
   */
  warnings(failures: readonly PodFailure[]): string[] {
    if (!existsSync(this.path)) return [];
    const content = readFileSync(this.path);
    const added = content.subarray(content.length < this.#beginning ? 0 : this.#beginning).toString();
    const messages = added.split("\n").flatMap((line) => complaint.exec(line)?.[1] ?? []);
    const told = failures.map(({ error }) => oneLine(error));
    return [...new Set(messages)].filter(
      (message) => !failurePrefix.test(message) && !told.some((text) => repeats(text, message)),
    );
  }
}
