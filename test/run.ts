// `npm test [-- LANE… FILTER…]`: runs every lane that this machine can carry, side by side and each in parts, and ends with the sum.
import { removeCgroups } from "./kit/cgroups.ts";
import { type LanePart, nameOf, nothing, partsOf, runPart } from "./lane-part.ts";
import type { Counts } from "./lane-reporter.ts";
import { type Lane, lanes } from "./lanes.ts";
import { partsAtOnce, sideBySide } from "./side-by-side.ts";

/** Somebody who waits, or a CI that takes silence for a hang, sees this often that there is work. */
const signOfLifeMs = 120_000;
const mustRunAll = process.env["CI"] === "true";

function say(line: string): void {
  process.stdout.write(`polynic: ${line}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  const asked = lanes.filter((lane) => args.includes(lane.name));
  const filters = args.filter((argument) => !lanes.some((lane) => lane.name === argument));
  // .ci/run counts a failed `npm run check` in, so that its closing line tells the whole outcome.
  const all: Counts[] = [{ ...nothing, failed: Number(process.env["POLYNIC_FAILED_BEFORE"] ?? 0) }];
  const problems = new Map<Lane, string>();
  const parts: LanePart[] = [];
  removeCgroups();
  for (const lane of asked.length > 0 ? asked : lanes) {
    const problem = await lane.prepare(say);
    if (problem === undefined) {
      say(`lane ${lane.name}: ${lane.about}`);
      parts.push(...partsOf(lane, filters));
    } else {
      if (mustRunAll) all.push({ ...nothing, failed: 1 });
      problems.set(lane, `${mustRunAll ? "FAILED, " : ""}left out: ${problem}`);
      say(`lane ${lane.name}: ${problems.get(lane)}`);
    }
  }
  // What takes longest first, so that nothing is left to be waited for alone at the end.
  const inOrder = parts.toSorted((a, b) => b.seconds - a.seconds);
  const counts = await runAll(inOrder);
  for (const lane of asked.length > 0 ? asked : lanes) {
    const sum = inOrder
      .flatMap((part, index) => (part.lane === lane ? [counts[index] ?? nothing] : []))
      .reduce(plus, nothing);
    all.push(sum);
    say(`lane ${lane.name}: ${problems.get(lane) ?? inWords(sum)}`);
    for (const [reason, count] of Object.entries(sum.reasons)) say(`  ${count} skipped: ${reason}`);
  }
  const sum = all.reduce(plus);
  await new Promise((resolve) => process.stdout.write(`${inWords(sum)}\n`, resolve));
  return sum.failed === 0 ? 0 : 1;
}

/** What each printed comes in one piece, when it has ended; one that is alone prints by itself. */
async function runAll(parts: readonly LanePart[]): Promise<readonly Counts[]> {
  const isAlone = parts.length === 1;
  const running = new Set<string>();
  let ended = 0;
  const stillRunning = (): string => `still running: ${[...running].join("; ")}`;
  using _ = repeated(signOfLifeMs, () => {
    if (!isAlone) say(stillRunning());
  });
  return await sideBySide(parts, isAlone ? 1 : partsAtOnce(), async (part) => {
    const name = nameOf(part);
    const began = performance.now();
    running.add(name);
    if (!isAlone) say(`${name}: begins`);
    const { counts, output } = await runPart(part, isAlone);
    running.delete(name);
    ended++;
    process.stdout.write(output);
    if (!isAlone) {
      const rest = running.size === 0 ? "" : `; ${stillRunning()}`;
      say(
        `${name}: ${inWords(counts)} in ${Math.round((performance.now() - began) / 1000)} s; ${ended} of ${parts.length} have ended${rest}`,
      );
    }
    return counts;
  });
}

/** Does `work` every so often until it is disposed of. */
function repeated(intervalMs: number, work: () => void): Disposable {
  const timer = setInterval(work, intervalMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function plus(a: Counts, b: Counts): Counts {
  const reasons = { ...a.reasons };
  for (const [reason, count] of Object.entries(b.reasons)) reasons[reason] = (reasons[reason] ?? 0) + count;
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped, reasons };
}

function inWords(counts: Counts): string {
  const skipped = counts.skipped === 0 ? "" : `, ${counts.skipped} skipped`;
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

process.exit(await main(process.argv.slice(2)));
