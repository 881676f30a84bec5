// A vitest reporter that writes down what the lane runner adds up: counts, and why tests were skipped.
import { writeFileSync } from "node:fs";
import type { Reporter, SerializedError, TestModule } from "vitest/node";

/** Environment variable with the path of the file to write `Counts` to. */
export const reportVariable = "POLYNIC_LANE_REPORT";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** How many tests were skipped for each reason given. */
  readonly reasons: Readonly<Record<string, number>>;
}

export default class LaneReporter implements Reporter {
  /** A file that could not be run, a failing hook and an error outside of any test count as one failure each. */
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    const reasons: Record<string, number> = {};
    for (const module of modules) {
      counts.failed += module.errors().length;
      for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "pending") counts.failed += 1;
        else counts[result.state] += 1;
        if (result.state === "skipped") {
          const reason = result.note ?? "without a reason";
          reasons[reason] = (reasons[reason] ?? 0) + 1;
        }
      }
    }
    const path = process.env[reportVariable];
    if (path !== undefined) writeFileSync(path, JSON.stringify({ ...counts, reasons }));
  }
}
