import { CniError } from "../src/cni/error.ts";
import { holdLines } from "../src/log/open.ts";
import { explain } from "../src/play/explain.ts";
import { oneLine } from "../src/words/one-line.ts";
import { repeats } from "../src/words/repeats.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Runs a call by hand. What is logged for standard error meanwhile is told when it has ended, without what only repeats the failure, which
 * the caller tells: taking back an ADD that could not begin meets the same obstacle again. Throws as `work` does.
 */
export async function tellOnce(terminal: Terminal, work: () => Promise<void>): Promise<void> {
  const release = holdLines();
  let told: readonly string[] = [];
  try {
    await work();
  } catch (error) {
    // In both ways of joining its details to it: the dispatcher logs the second.
    told = [explain(error), CniError.from(error).text];
    throw error;
  } finally {
    for (const { entry, line } of release())
      if (!told.some((text) => repeats(text, oneLine(entry.message)))) await terminal.error(line);
  }
}
