import { isErrno } from "../src/libc/errno.ts";
import { explain } from "../src/play/explain.ts";
import { InputError } from "../src/play/play-error.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

/** The exit code of bad input. */
export const exitUsage = 2;
const exitFailure = 1;
/** As a shell tells of a program that SIGPIPE ended; the runtime ignores that signal. */
export const exitUnread = 128 + 13;

/**
 * Says in one line what failed. Returns the exit code: 2 for bad input, 1 for anything else. A standard output that nobody reads any more
 * (`| head`) is no failure to tell of: only the exit code says so.
 */
export async function reportFailure(error: unknown, terminal: Terminal): Promise<number> {
  if (isUnread(error)) return exitUnread;
  await sayProblem(terminal, explain(error));
  return error instanceof UsageError || error instanceof InputError ? exitUsage : exitFailure;
}

/** True for an error that says that nobody reads standard output any more. */
export function isUnread(error: unknown): boolean {
  return isErrno(error, "EPIPE") && error.subject === "stdout";
}

/** One line on standard error. */
export async function sayProblem(terminal: Terminal, message: string): Promise<void> {
  await terminal.error(`${terminal.errorColours.bad("polynic:")} ${message}\n`);
}
