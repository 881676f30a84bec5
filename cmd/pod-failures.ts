import type { PodFailure } from "../src/play/pod-failure.ts";
import type { Terminal } from "./terminal.ts";

/** One line on standard error for each pod that failed. Returns the exit code: 0 when none did. */
export async function printFailures(failures: readonly PodFailure[], terminal: Terminal): Promise<number> {
  for (const { namespace, name, error } of failures)
    await terminal.error(`${terminal.errorColours.bad(`${namespace}/${name}:`)} ${error}\n`);
  return failures.length === 0 ? 0 : 1;
}
