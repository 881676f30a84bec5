import type { Fd } from "../../libc/fd.ts";
import {
  makeDirectories,
  O_APPEND,
  O_CREAT,
  O_RDWR,
  O_WRONLY,
  open,
  readTextIfExists,
  statusIfExists,
  writeAll,
  writeFile,
} from "../../libc/file.ts";
import { tryLock } from "../../libc/lock.ts";
import { sleep } from "../../libc/process.ts";
import { unlessBroken } from "./unless-broken.ts";

/** What this node claimed is remembered for so long; by then the index shows it, or nobody keeps one. */
const rememberMs = 600_000;
/** So long another call may take to claim what it has chosen. */
const choiceMs = 10_000;
/** So long what is known of others' claims keeps calls from trying the same, and the index that was found to lag is not used. */
const lagMs = 30_000;
const longestFileBytes = 32 * 1024;
/** What is left of a file that has grown too long: some 16 KiB. The index shows what was claimed so many claims ago. */
const keptLines = 500;
/** A choice takes less than a millisecond; after a second, somebody who chooses was stopped, and is passed by. */
const longestWaits = 1000;
const waitMs = 1;

/** What the calls of this node know about a pool together; nothing but time depends on it. */
export interface Hint {
  /** Keys that are not worth trying: this node has claimed them, another call of it is about to, or somebody else was faster. */
  readonly avoided: ReadonlySet<string>;
  /** Among how many free addresses the last claim was made. */
  readonly window: number;
  /** The pool's map was far behind the claims lately: it is no use. */
  readonly isIndexBehind: boolean;
}

/** Claimed, about to be claimed, somebody else's, given back; and that the index lags. */
type Mark = "+" | "?" | "x" | "-" | "behind";

const lives: Readonly<Record<string, number>> = { "+": rememberMs, "?": choiceMs, x: lagMs };

/**
 * The hints for a pool, in `<data_dir>/hints/<pool>`: lines that are only ever appended, in one write each, so that only choosing needs a lock. What
 * can't be read or written is as good as no hint.
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
    const avoided = new Set<string>();
    let window = 1;
    let isIndexBehind = false;
    for (const line of this.#text().split("\n")) {
      const [time, mark = "", key = "", more] = line.split(" ");
      const ageMs = now - Number(time);
      if (mark === "behind") isIndexBehind = ageMs < lagMs;
      else if (ageMs < lifeMs(mark)) avoided.add(key);
      else avoided.delete(key);
      if (mark === "+" && ageMs < lagMs) window = Number(more) || 1;
    }
    return { avoided, window, isIndexBehind };
  }

  /**
   * Has `choose` name a key by what the hints are now, and keeps the node's other calls from choosing the same: they choose one after the other.
   * Undefined when it names none.
   */
  choose(choose: (hint: Hint) => string | undefined): string | undefined {
    if (!this.isUseful) return choose(this.read());
    using _lock = this.#lock();
    const key = choose(this.read());
    if (key !== undefined) this.#append("?", key);
    return key;
  }

  claimed(key: string, window: number): void {
    this.#append("+", `${key} ${window}`);
  }

  /** Somebody else has it. */
  refused(key: string): void {
    this.#append("x", key);
  }

  released(key: string): void {
    this.#append("-", key);
  }

  indexIsBehind(): void {
    this.#append("behind", "");
  }

  /** Undefined when it can't be had: two calls may choose the same then, and the store decides. */
  #lock(): Fd | undefined {
    return unlessBroken(() => {
      const fd = this.#open(O_RDWR);
      for (let waits = 0; waits < longestWaits; waits++) {
        if (tryLock(fd)) return fd;
        sleep(waitMs);
      }
      fd[Symbol.dispose]();
      return undefined;
    });
  }

  #append(mark: Mark, value: string): void {
    if (!this.isUseful) return;
    const now = Date.now();
    unlessBroken(() => {
      let text = `${now} ${mark} ${value}\n`;
      if ((statusIfExists(this.#path)?.size ?? 0) > longestFileBytes) text = this.#compacted(now) + text;
      using fd = this.#open(O_WRONLY);
      writeAll(fd, text);
    });
  }

  /** Empties the file and gives what of it is worth keeping. */
  #compacted(now: number): string {
    const last = new Map<string, string>();
    for (const line of this.#text().split("\n")) {
      const [time, mark = "", key = ""] = line.split(" ");
      last.delete(key);
      if (now - Number(time) < lifeMs(mark)) last.set(key, `${line}\n`);
    }
    writeFile(this.#path, "");
    return [...last.values()].slice(-keptLines).join("");
  }

  #open(access: number): Fd {
    if (statusIfExists(`${this.dataDir}/hints`) === undefined) makeDirectories(`${this.dataDir}/hints`, 0o700);
    return open(this.#path, access | O_CREAT | O_APPEND, 0o600);
  }

  #text(): string {
    return (this.isUseful ? unlessBroken(() => readTextIfExists(this.#path)) : undefined) ?? "";
  }
}

/** How long a mark keeps calls from trying its key. */
function lifeMs(mark: string): number {
  return lives[mark] ?? 0;
}
