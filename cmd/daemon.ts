import { hostname } from "node:os";
import { type Logger, type LogLevel, silentLogger } from "../src/log/logger.ts";
import { defaultLogOptions, openLogger, parseLogLevel } from "../src/log/open.ts";
import { UsageError } from "./usage-error.ts";

/** The log of a long-running program: on stderr, which is what clusters collect. Throws `UsageError` for a level that is none. */
export function daemonLog(level: string, format: "text" | "json"): Logger {
  return openLogger({ ...defaultLogOptions, level: logLevel(level), file: "", toStderr: true, format });
}

/** Aborted by SIGTERM or SIGINT, of which the log is told; a second one ends the process at once. */
export function untilTold(log = silentLogger): AbortSignal {
  const told = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.once(name, () => {
      log.verbose(`${name}: stopping`);
      told.abort();
    });
  }
  return told.signal;
}

/** "<host>-<random>", so that no two processes ever have the same. */
export function processIdentity(): string {
  return `${hostname()}-${crypto.randomUUID().slice(0, 8)}`;
}

function logLevel(text: string): LogLevel {
  const level = parseLogLevel(text);
  if (level !== undefined) return level;
  throw new UsageError(`--log-level ${text}: expected debug, verbose, error or panic`);
}
