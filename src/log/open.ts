import { Fd } from "../libc/fd.ts";
import { writeAll } from "../libc/file.ts";
import { LogFile } from "./file.ts";
import { formatJson, formatText } from "./format.ts";
import { type LogEntry, type Logger, type LogLevel, loggerTo, silentLogger } from "./logger.ts";

/** Where a log goes and how it is kept small; the meaning of the numbers is that of Multus' logOptions. */
export interface LogOptions {
  readonly level: LogLevel;
  /** Path of the log file; "" for none. */
  readonly file: string;
  readonly toStderr: boolean;
  readonly format: "text" | "json";
  /** Size in MiB that a file may reach before it is rotated; 0 means 100. */
  readonly maxSizeMb: number;
  /** Days after which a rotated file is removed; 0 means never. */
  readonly maxAgeDays: number;
  /** How many rotated files are kept; 0 means all. */
  readonly maxBackups: number;
  /** Compress rotated files, see `LogFile` for when. */
  readonly compress: boolean;
}

/** What holds where a config says nothing. Multus writes no file unless its config names one: pass `file: ""` for that. */
export const defaultLogOptions: LogOptions = {
  level: "panic",
  file: "/var/log/multus.log",
  toStderr: true,
  format: "text",
  maxSizeMb: 100,
  maxAgeDays: 5,
  maxBackups: 5,
  compress: true,
};

/** Where loggers have standard error: for each its own, until they are left. */
interface ErrorStream {
  fd: Fd;
}

let stderr: ErrorStream = { fd: new Fd(2, "stderr") };

/** A line for standard error that is held back, and what it was made of. */
export interface HeldLine {
  readonly entry: LogEntry;
  readonly line: string;
}

let held: HeldLine[] | undefined;

/** The files of this process's loggers. */
let files: LogFile[] = [];

/**
 * A logger on these options. Opens nothing yet: the file is opened with the first line that passes the level. No failure ever
 * reaches the caller: a file that can't be written is reported by one line on stderr, and what can't be written to stderr
 * either is lost.
 */
export function openLogger(options: LogOptions): Logger {
  if (options.file === "" && !options.toStderr) return silentLogger;
  const format = options.format === "json" ? formatJson : formatText;
  const stream = stderr;
  const toStream = (line: string): void => writeTo(stream, line);
  const file = options.file === "" ? undefined : new LogFile(options.file, options, toStream);
  if (file !== undefined) files.push(file);
  return loggerTo(options.level, (entry) => {
    const line = format(entry);
    if (options.toStderr && held !== undefined) held.push({ entry, line });
    else if (options.toStderr) toStream(line);
    file?.write(line);
  });
}

/**
 * Holds back what this process's loggers have for standard error, until the function that is returned is called: it gives those lines to
 * whoever knows better which of them to tell, and from then on they are written again as they come.
 */
export function holdLines(): () => readonly HeldLine[] {
  const lines: HeldLine[] = [];
  held = lines;
  return () => {
    held = undefined;
    return lines;
  };
}

/**
 * For a process that goes on with something else when a call is over, whose loggers all of those are that were opened so far: their files are
 * closed, and what they are told from now on stands there nonetheless, and on `later` instead of standard error, which is another call's by then.
 */
export function leaveLogs(later: Fd): void {
  for (const file of files) file[Symbol.dispose]();
  files = [];
  stderr.fd = later;
  stderr = { fd: new Fd(2, "stderr") };
}

/** The level of that name in any letter case; undefined for a name that is none. */
export function parseLogLevel(text: string): LogLevel | undefined {
  const name = text.toLowerCase();
  return name === "debug" || name === "verbose" || name === "error" || name === "panic" ? name : undefined;
}

function writeTo({ fd }: ErrorStream, line: string): void {
  try {
    writeAll(fd, line);
  } catch {
    // Nobody reads stderr any more, and there is no third place to say so.
  }
}
