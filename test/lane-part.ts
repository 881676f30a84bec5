// One part of a lane: a vitest of its own in namespaces of its own, so that parts run side by side as lanes do.
import { chmodSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cgroupEnvironment, removeCgroups } from "./kit/cgroups.ts";
import { isolated } from "./kit/isolation.ts";
import { searchPath } from "./kit/packages.ts";
import { removeTree } from "./kit/remove-tree.ts";
import { fileGroups } from "./lane-files.ts";
import { type Counts, reportVariable } from "./lane-reporter.ts";
import type { Lane } from "./lanes.ts";

/** Of a lane in one part. */
const lanePartSeconds = 60;
const root = join(import.meta.dirname, "..");

/** Of no test. */
export const nothing: Counts = { passed: 0, failed: 0, skipped: 0, reasons: {} };

export interface LanePart {
  readonly lane: Lane;
  /** From 1 on. */
  readonly number: number;
  readonly count: number;
  /** About how long it takes, for who chooses what begins first. */
  readonly seconds: number;
  /** Further arguments for vitest: which tests it is about; all of the lane's when empty. */
  readonly filters: readonly string[];
}

/** The parts of a lane; what is asked for by name is one. */
export function partsOf(lane: Lane, filters: readonly string[]): LanePart[] {
  if (filters.length > 0 || lane.parts === 1) return [{ lane, number: 1, count: 1, seconds: lanePartSeconds, filters }];
  const groups = fileGroups(root, `test/${lane.name}`, lane.parts);
  return groups.map(({ files, seconds }, index) => ({
    lane,
    number: index + 1,
    count: groups.length,
    seconds,
    filters: files,
  }));
}

/** "lane api", or "lane api, 2 of 3". */
export function nameOf({ lane, number, count }: LanePart): string {
  return count === 1 ? `lane ${lane.name}` : `lane ${lane.name}, ${number} of ${count}`;
}

export interface PartOutcome {
  readonly counts: Counts;
  /** All that it printed; nothing when that was for the terminal. */
  readonly output: string;
}

/**
 * Runs it. What it prints goes to this process's own streams with `isLoud`, and is returned otherwise. What is wrong with the part itself is a
 * failure of it alone: the others go on.
 */
export async function runPart(part: LanePart, isLoud: boolean): Promise<PartOutcome> {
  try {
    return await runWhole(part, isLoud);
  } catch (error) {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { counts: { ...nothing, failed: 1 }, output: `polynic: FAILED: ${nameOf(part)}: ${words}\n` };
  }
}

async function runWhole(part: LanePart, isLoud: boolean): Promise<PartOutcome> {
  const { lane, number, filters } = part;
  const folder = mkdtempSync(join(tmpdir(), "polynic-lane-"));
  const temporary = temporaryFolderIn(folder);
  const group = cgroupEnvironment(`${lane.name}-${number}`);
  const log = join(folder, "log");
  const output = isLoud ? "inherit" : openSync(log, "w");
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
        ...group,
        PATH: searchPath,
        TMPDIR: temporary,
        [reportVariable]: report,
        ...(process.stdout.isTTY ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }),
      },
      stdio: ["ignore", output, output],
    });
    const { counts, complaint } = countsFrom(report, await child.exited);
    const remains = counts.failed > 0 ? [] : remainsIn(temporary);
    const words = remains.length === 0 ? complaint : `tests have left ${remains.join(", ")} in their temporary folder`;
    return {
      counts: remains.length === 0 ? counts : { ...counts, failed: 1 },
      output: `${isLoud ? "" : readFileSync(log, "utf8")}${words === "" ? "" : `polynic: FAILED: ${words}\n`}`,
    };
  } finally {
    if (output !== "inherit") closeSync(output);
    removeCgroups(group);
    removeTree(folder);
  }
}

/** A part's own, so that whatever its tests leave goes with it; anybody may use it, since some tests run programs as an ordinary user. */
function temporaryFolderIn(folder: string): string {
  const temporary = join(folder, "tmp");
  mkdirSync(temporary);
  chmodSync(folder, 0o755);
  chmodSync(temporary, 0o1777);
  return temporary;
}

/** What tests have left, the runtime's own files aside. */
function remainsIn(temporary: string): string[] {
  return readdirSync(temporary).filter((name) => !name.startsWith("bun-") && name !== ".bun");
}

/**
 * What the reporter wrote down; a run that ended before it could, however it ended, or failed without saying why, counts as one failure, of which
 * nobody else tells.
 */
function countsFrom(path: string, exitCode: number): { readonly counts: Counts; readonly complaint: string } {
  if (!existsSync(path))
    return { counts: { ...nothing, failed: 1 }, complaint: `vitest ended with ${exitCode}, and without a report` };
  const counts = JSON.parse(readFileSync(path, "utf8")) as Counts;
  if (counts.failed > 0 || exitCode === 0) return { counts, complaint: "" };
  return { counts: { ...counts, failed: 1 }, complaint: `vitest ended with ${exitCode}, and no test has failed` };
}
