// `npm test [-- LANE… FILTER…]`: runs every lane that this machine can carry, names each, and ends with the sum.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cgroupEnvironment, removeCgroups } from "./kit/cgroups.ts";
import { isolated } from "./kit/isolation.ts";
import { searchPath } from "./kit/packages.ts";
import { type Counts, reportVariable } from "./lane-reporter.ts";
import { type Lane, lanes } from "./lanes.ts";
import { removeTree } from "./kit/remove-tree.ts";

const root = join(import.meta.dirname, "..");
const nothing: Counts = { passed: 0, failed: 0, skipped: 0, reasons: {} };
const mustRunAll = process.env["CI"] === "true";

function say(line: string): void {
  process.stdout.write(`polynic: ${line}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  const asked = lanes.filter((lane) => args.includes(lane.name));
  const filters = args.filter((argument) => !lanes.some((lane) => lane.name === argument));
  // .ci/run counts a failed `npm run check` in, so that its closing line tells the whole outcome.
  const all: Counts[] = [{ ...nothing, failed: Number(process.env["POLYNIC_FAILED_BEFORE"] ?? 0) }];
  const outcomes: string[] = [];
  for (const lane of asked.length > 0 ? asked : lanes) {
    const problem = await lane.prepare(say);
    if (problem === undefined) {
      say(`lane ${lane.name}: ${lane.about}`);
      const counts = await runLane(lane, filters);
      all.push(counts);
      outcomes.push(`lane ${lane.name}: ${inWords(counts)}`);
      for (const [reason, count] of Object.entries(counts.reasons)) outcomes.push(`  ${count} skipped: ${reason}`);
    } else {
      if (mustRunAll) all.push({ ...nothing, failed: 1 });
      outcomes.push(`lane ${lane.name}: ${mustRunAll ? "FAILED, " : ""}left out: ${problem}`);
      say(outcomes.at(-1) ?? "");
    }
  }
  for (const outcome of outcomes) say(outcome);
  const sum = all.reduce(plus);
  process.stdout.write(`${inWords(sum)}\n`);
  return sum.failed === 0 ? 0 : 1;
}

function plus(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped, reasons: {} };
}

function inWords(counts: Counts): string {
  const skipped = counts.skipped === 0 ? "" : `, ${counts.skipped} skipped`;
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

async function runLane(lane: Lane, filters: readonly string[]): Promise<Counts> {
  const folder = mkdtempSync(join(tmpdir(), "polynic-lane-"));
  const temporary = temporaryFolderIn(folder);
  try {
    const report = join(folder, "report.json");
    const vitest = [
      process.execPath,
      "--bun",
      join(root, "node_modules", "vitest", "vitest.mjs"),
      "run",
      `--project=${lane.name}`,
      "--reporter=default",
      `--reporter=${join(import.meta.dirname, "lane-reporter.ts")}`,
      // A filter may well leave nothing for a lane; a lane without any test is an error otherwise.
      ...(filters.length > 0 ? ["--passWithNoTests", ...filters] : []),
    ];
    const child = Bun.spawn(lane.isolated === false ? vitest : isolated(vitest, lane.isolated), {
      cwd: root,
      env: {
        ...process.env,
        ...cgroupEnvironment(),
        PATH: searchPath,
        TMPDIR: temporary,
        [reportVariable]: report,
        ...(process.stdout.isTTY ? {} : { NO_COLOR: "1" }),
      },
      stdio: ["ignore", "inherit", "inherit"],
    });
    return withRemains(countsFrom(report, await child.exited), temporary);
  } finally {
    removeCgroups();
    removeTree(folder);
  }
}

/** A lane's own, so that whatever its tests leave goes with it; anybody may use it, since some tests run programs as an ordinary user. */
function temporaryFolderIn(folder: string): string {
  const temporary = join(folder, "tmp");
  mkdirSync(temporary);
  chmodSync(folder, 0o755);
  chmodSync(temporary, 0o1777);
  return temporary;
}

/** Tests that have left something are one failure more. Where others failed that is their doing, and so are the runtime's own files. */
function withRemains(counts: Counts, temporary: string): Counts {
  const remains = readdirSync(temporary).filter((name) => !name.startsWith("bun-") && name !== ".bun");
  if (counts.failed > 0 || remains.length === 0) return counts;
  say(`FAILED: tests have left ${remains.join(", ")} in their temporary folder`);
  return { ...counts, failed: 1 };
}

/** What the reporter wrote down; a run that ended before it could, or failed without saying why, counts as one failure. */
function countsFrom(path: string, exitCode: number): Counts {
  const counts = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Counts) : nothing;
  return counts.failed === 0 && exitCode !== 0 ? { ...counts, failed: 1 } : counts;
}

process.exit(await main(process.argv.slice(2)));
