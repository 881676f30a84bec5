// `npm test [-- LANE… FILTER…]`: runs every lane that this machine can carry, names each, and ends with the sum.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isolated } from "./kit/isolation.ts";
import { searchPath } from "./kit/packages.ts";
import { type Lane, lanes } from "./lanes.ts";

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const root = join(import.meta.dirname, "..");
const mustRunAll = process.env["CI"] === "true";

function say(line: string): void {
  process.stdout.write(`polynic: ${line}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  const asked = lanes.filter((lane) => args.includes(lane.name));
  const filters = args.filter((argument) => !lanes.some((lane) => lane.name === argument));
  // .ci/run counts a failed `npm run check` in, so that its closing line tells the whole outcome.
  const sum: Counts = { passed: 0, failed: Number(process.env["POLYNIC_FAILED_BEFORE"] ?? 0), skipped: 0 };
  const outcomes: string[] = [];
  for (const lane of asked.length > 0 ? asked : lanes) {
    const problem = await lane.prepare(say);
    if (problem !== undefined) {
      if (mustRunAll) sum.failed += 1;
      outcomes.push(`lane ${lane.name}: ${mustRunAll ? "FAILED, left out" : "left out"}: ${problem}`);
      say(outcomes.at(-1) ?? "");
      continue;
    }
    say(`lane ${lane.name}: ${lane.about}`);
    const counts = await runLane(lane, filters);
    sum.passed += counts.passed;
    sum.failed += counts.failed;
    sum.skipped += counts.skipped;
    outcomes.push(`lane ${lane.name}: ${inWords(counts)}`);
  }
  for (const outcome of outcomes) say(outcome);
  process.stdout.write(`${inWords(sum)}\n`);
  return sum.failed === 0 ? 0 : 1;
}

function inWords(counts: Counts): string {
  const skipped = counts.skipped === 0 ? "" : `, ${counts.skipped} skipped`;
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

async function runLane(lane: Lane, filters: readonly string[]): Promise<Counts> {
  const folder = mkdtempSync(join(tmpdir(), "polynic-lane-"));
  try {
    const report = join(folder, "report.json");
    const vitest = [
      process.execPath,
      "--bun",
      join(root, "node_modules", "vitest", "vitest.mjs"),
      "run",
      `--project=${lane.name}`,
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`,
      // A filter may well leave nothing for a lane; a lane without any test is an error otherwise.
      ...(filters.length > 0 ? ["--passWithNoTests", ...filters] : []),
    ];
    const child = Bun.spawn(lane.isolated ? isolated(vitest) : vitest, {
      cwd: root,
      env: { ...process.env, PATH: searchPath },
      stdio: ["ignore", "inherit", "inherit"],
    });
    return countsFrom(report, await child.exited);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/** Sums vitest's report up; a file that failed as a whole, and a run that failed without saying why, count as one failure each. */
function countsFrom(path: string, exitCode: number): Counts {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(path, "utf8")) as Report;
  } catch {
    return { passed: 0, failed: exitCode === 0 ? 0 : 1, skipped: 0 };
  }
  const brokenFiles = report.testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  ).length;
  const failed = report.numFailedTests + brokenFiles;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

process.exit(await main(process.argv.slice(2)));
