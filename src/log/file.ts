import { isErrno } from "../libc/errno.ts";
import type { Fd } from "../libc/fd.ts";
import {
  type FileStatus,
  makeDirectories,
  O_APPEND,
  O_CREAT,
  O_NONBLOCK,
  O_WRONLY,
  open,
  statusIfExists,
  statusOf,
  writeAll,
} from "../libc/file.ts";
import { messageOf } from "../words/message.ts";
import { escapeControls } from "./format.ts";
import { directoryOf, rotate, type RotationLimits } from "./rotate.ts";

const fileMode = 0o600;
const defaultMaxSizeMb = 100;
const bytesPerMb = 1024 * 1024;
const compressAfterMs = 90_000;
const encoder = new TextEncoder();

/** The parts of the log options that concern a file. */
export interface LogFileOptions extends RotationLimits {
  readonly maxSizeMb: number;
  readonly compress: boolean;
}

/**
 * A log file that many processes append to and any of them rotates. Each line is one write(2) on an O_APPEND descriptor, so lines
 * of different processes never mix. Before each line the path is looked at: a file that another process has rotated is followed,
 * and one that would grow beyond its limit is rotated first.
 *
 * Compression is left to processes that live long enough: gzip of 100 MiB takes seconds, which no CNI call may cost, and a child
 * would be killed with the call or keep the runtime waiting. A process that is still there 90 s after it opened the file
 * compresses what was rotated by then; where only short-lived ones write, rotated files stay plain and their number bounds the
 * space.
 */
export class LogFile implements Disposable {
  #fd: Fd | undefined;
  #opened: FileStatus | undefined;
  #compression: ReturnType<typeof setTimeout> | undefined;
  readonly #reported = new Set<string>();
  #isLeft = false;

  constructor(
    readonly path: string,
    readonly options: LogFileOptions,
    /** Takes the line that says why the file can't be written, rotated or compressed: one for each of these, ever. */
    readonly complain: (line: string) => void,
  ) {}

  /** Appends one line, its newline included. Never throws; a line that can't be written is lost, and the next one tries anew. */
  write(line: string): void {
    try {
      const bytes = encoder.encode(line);
      writeAll(this.#ready(bytes.length), bytes);
      if (this.#isLeft) this.#close();
    } catch (error) {
      this.#close();
      this.#report("cannot write", error);
    }
  }

  /** The descriptor that the next `length` bytes belong on. */
  #ready(length: number): Fd {
    const { fd, current } = this.#follow();
    const maxBytes = (this.options.maxSizeMb > 0 ? this.options.maxSizeMb : defaultMaxSizeMb) * bytesPerMb;
    if (current.kind !== "file" || current.size === 0 || current.size + length <= maxBytes) return fd;
    try {
      rotate(this.path, fd, this.options);
    } catch (error) {
      // A file too large is better than a line lost.
      this.#report("cannot rotate", error);
    }
    // Also when nothing was rotated: closing is what gives up the lock.
    this.#close();
    return this.#follow().fd;
  }

  /** The open file, opened anew when the path has come to name another one, and its status of this moment. */
  #follow(): { readonly fd: Fd; readonly current: FileStatus } {
    if (this.#fd !== undefined) {
      const current = statusIfExists(this.path);
      const isSame = current?.inode === this.#opened?.inode && current?.device === this.#opened?.device;
      if (current !== undefined && isSame) return { fd: this.#fd, current };
      this.#close();
    }
    const fd = openForAppend(this.path);
    this.#fd = fd;
    this.#opened = statusOf(fd);
    this.#scheduleCompression();
    return { fd, current: this.#opened };
  }

  /** Closes the file and forgets what was to be compressed; another line opens it for as long as it takes. */
  [Symbol.dispose](): void {
    this.#isLeft = true;
    this.#close();
    clearTimeout(this.#compression);
    this.#compression = undefined;
  }

  #close(): void {
    this.#fd?.[Symbol.dispose]();
    this.#fd = undefined;
  }

  #scheduleCompression(): void {
    if (!this.options.compress || this.#compression !== undefined || this.#isLeft) return;
    const compress = async (): Promise<void> => {
      this.#compression = undefined;
      try {
        const { compressBackups } = await import("./compress.ts");
        await compressBackups(this.path);
      } catch (error) {
        this.#report("cannot compress the old files of", error);
      }
    };
    // Must not keep a process alive that has nothing else to do.
    this.#compression = setTimeout(() => void compress(), compressAfterMs).unref();
  }

  #report(what: string, error: unknown): void {
    if (this.#reported.has(what)) return;
    this.#reported.add(what);
    const cause = messageOf(error);
    this.complain(`${escapeControls(`polynic: ${what} the log file ${this.path}: ${cause}`)}\n`);
  }
}

/** O_NONBLOCK: a named pipe that nobody reads must be an error, not a CNI call that hangs. */
function openForAppend(path: string): Fd {
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK;
  try {
    return open(path, flags, fileMode);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    makeDirectories(directoryOf(path));
    return open(path, flags, fileMode);
  }
}
