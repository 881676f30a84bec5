import { explain } from "../src/play/explain.ts";
import { InputError } from "../src/play/play-error.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

/** The exit code of bad input. */
export const exitUsage = 2;
const exitFailure = 1;

/** Says in one line what failed. Returns the exit code: 2 for bad input, 1 for anything else. */
export async function reportFailure(error: unknown, terminal: Terminal): Promise<number> {
  await sayProblem(terminal, explain(error));
  return error instanceof UsageError || error instanceof InputError ? exitUsage : exitFailure;
}

/** One line on standard error. */
export async function sayProblem(terminal: Terminal, message: string): Promise<void> {
  await terminal.error(`${terminal.errorColours.bad("polynic:")} ${message}\n`);
}
