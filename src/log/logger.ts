/** From the most to the least talkative; a level lets through its own lines and those of all levels behind it, as in Multus. */
export type LogLevel = "debug" | "verbose" | "error" | "panic";

/** What a line is about, by name; undefined ones are left out. */
export interface LogFields {
  readonly [name: string]: string | number | boolean | undefined;
}

/** Where a component says what it does. Never throws and never blocks for long: a log may not decide whether a pod gets its network. */
export interface Logger {
  /** Every step, for a developer. */
  debug(message: string, fields?: LogFields): void;
  /** What an operator wants to follow. */
  verbose(message: string, fields?: LogFields): void;
  /** What went wrong, and warnings. */
  error(message: string, fields?: LogFields): void;
  /** What can't be recovered from. */
  panic(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to each of its lines; a line's own field of the same name wins. */
  with(fields: LogFields): Logger;
}

/** One line before it is text. */
export interface LogEntry {
  readonly time: Date;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

const verbosity: Readonly<Record<LogLevel, number>> = { panic: 0, error: 1, verbose: 2, debug: 3 };

/** A logger that hands each entry that passes `level` to `write`; an entry that does not costs one comparison. */
export function loggerTo(level: LogLevel, write: (entry: LogEntry) => void, fields: LogFields = {}): Logger {
  const method =
    (own: LogLevel) =>
    (message: string, more?: LogFields): void => {
      if (verbosity[own] > verbosity[level]) return;
      write({ time: new Date(), level: own, message, fields: more === undefined ? fields : { ...fields, ...more } });
    };
  return {
    debug: method("debug"),
    verbose: method("verbose"),
    error: method("error"),
    panic: method("panic"),
    with: (more) => loggerTo(level, write, { ...fields, ...more }),
  };
}

const nothing = (): void => {};

/** Says nothing at all; for callers that have no logger to pass. */
export const silentLogger: Logger = {
  debug: nothing,
  verbose: nothing,
  error: nothing,
  panic: nothing,
  with: () => silentLogger,
};
