import type { ClaimScope } from "../../pool/claim.ts";
import { SystemError } from "../../libc/errno.ts";
import {
  makeDirectories,
  O_APPEND,
  O_CREAT,
  O_WRONLY,
  open,
  readTextIfExists,
  statusIfExists,
  writeAll,
  writeFile,
} from "../../libc/file.ts";

/** What this node claimed is remembered for so long; by then the index shows it, or nobody keeps one. */
const rememberMs = 600_000;
/** How long a look at the pool is good for. */
export const freshMs = 2000;
/** So long after the index was found to lag the names are listed at once. */
const lagMs = 30_000;
const longestFileBytes = 32 * 1024;

/** What the calls of this node know about a pool together; nothing but time depends on it. */
export interface Hint {
  /** Keys of the addresses that this node claimed and has not given back. */
  readonly own: ReadonlySet<string>;
  /** Keys of those that the pool showed as taken when it was last looked at, if that was just now. */
  readonly seen: ReadonlySet<string> | undefined;
  /** Among how many free addresses the last claim was made. */
  readonly window: number;
  /** By which names the pool is claimed; known where `seen` is. */
  readonly scope: ClaimScope | undefined;
  /** The pool's map was far behind the claims lately: it is no use. */
  readonly isIndexBehind: boolean;
}

type Mark = "+" | "-" | "window" | "behind" | "seen";

/**
 * The hints for a pool, in `<data_dir>/hints/<pool>`: lines that are only ever appended, in one write each, so that calls that run at once
 * need no lock. What can't be read or written is as good as no hint.
 */
export class HintFile {
  readonly #path: string;

  /** Without `isUseful` nothing is read or written: where the names of all reservations cost nothing there is nothing to guess. */
  constructor(
    readonly dataDir: string,
    pool: string,
    readonly isUseful: boolean,
  ) {
    this.#path = `${dataDir}/hints/${pool}`;
  }

  read(now = Date.now()): Hint {
    const own = new Set<string>();
    let seen: ReadonlySet<string> | undefined;
    let scope: ClaimScope | undefined;
    let window = 1;
    let isIndexBehind = false;
    for (const line of this.#text().split("\n")) {
      const [time, mark, value = "", more] = line.split(" ");
      const ageMs = now - Number(time);
      if (!(ageMs < rememberMs)) continue;
      if (mark === "+") own.add(value);
      else if (mark === "-") own.delete(value);
      else if (mark === "window" && ageMs < lagMs) window = Number(value) || 1;
      else if (mark === "behind") isIndexBehind = ageMs < lagMs;
      else if (mark === "seen") {
        seen = ageMs < freshMs ? new Set(value.split(",")) : undefined;
        scope = seen && (more as ClaimScope | undefined);
      }
    }
    return { own, seen, scope, window, isIndexBehind };
  }

  claimed(key: string, window: number): void {
    this.#append(["+", key], ["window", String(window)]);
  }

  released(key: string): void {
    this.#append(["-", key]);
  }

  indexIsBehind(): void {
    this.#append(["behind", ""]);
  }

  saw(taken: readonly string[], scope: ClaimScope): void {
    this.#append(["seen", `${taken.join(",")} ${scope}`]);
  }

  #append(...marks: readonly (readonly [mark: Mark, value: string])[]): void {
    if (!this.isUseful) return;
    const now = Date.now();
    let text = "";
    for (const [mark, value] of marks) text += `${now} ${mark} ${value}\n`;
    try {
      if ((statusIfExists(this.#path)?.size ?? 0) > longestFileBytes) text = this.#compacted(now) + text;
      this.#write(text);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
    }
  }

  /** Empties the file and gives what of it is worth keeping. */
  #compacted(now: number): string {
    const { own, window } = this.read(now);
    writeFile(this.#path, "");
    let text = `${now} window ${window}\n`;
    for (const key of own) text += `${now} + ${key}\n`;
    return text;
  }

  #write(text: string): void {
    const append = () => open(this.#path, O_WRONLY | O_CREAT | O_APPEND, 0o600);
    if (statusIfExists(`${this.dataDir}/hints`) === undefined) makeDirectories(`${this.dataDir}/hints`, 0o700);
    using fd = append();
    writeAll(fd, text);
  }

  #text(): string {
    if (!this.isUseful) return "";
    try {
      return readTextIfExists(this.#path) ?? "";
    } catch (error) {
      if (error instanceof SystemError) return "";
      throw error;
    }
  }
}
