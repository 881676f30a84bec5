/** One measured call: wall milliseconds of each side, run by run, those of one run at equal positions. */
export interface Row {
  readonly what: string;
  readonly ours: readonly number[];
  /** Ours with an agent; absent where a call never goes there. */
  readonly agent?: readonly number[];
  readonly theirs: readonly number[];
  /** A compiled program that does nothing, for a start. */
  readonly floor?: readonly number[];
  /** The budget for ours/theirs, where there is one. */
  readonly target?: number;
  /** The budget for ours alone, in milliseconds. */
  readonly targetMs?: number;
  /** Requests to the API server for each call, where there is one. */
  readonly requests?: { readonly ours: number; readonly theirs: number };
}

/** How often a start of ours is what it can't go below, the median of the ratios run by run; "" when no start was measured. */
export function renderFloor(rows: readonly Row[]): string {
  const starts = rows.flatMap(({ what, ours, floor }) =>
    floor === undefined ? [] : [`${ratioOf(ours, floor).toFixed(2)}x (${what})`],
  );
  if (starts.length === 0) return "";
  return `A start beside that of a program that does nothing, compiled with the same Bun, in the same runs: ${starts.join(", ")}.\n`;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The rows as a Markdown table: medians and 90th percentiles, the median of the ratios run by run, and the target with by how much it is missed. */
export function renderTable(rows: readonly Row[]): string {
  const lines = rows.map(({ what, ours, agent, theirs, target, targetMs, requests }) => {
    const alone = ratioOf(ours, theirs);
    const withAgent = agent === undefined ? Number.NaN : ratioOf(agent, theirs);
    const cells = [
      what,
      ...[ours, agent ?? [], theirs].flatMap((times) => [milliseconds(times, 0.5), milliseconds(times, 0.9)]),
      ...[alone, withAgent].map((ratio) => (Number.isNaN(ratio) ? "–" : `${ratio.toFixed(2)}x`)),
      [
        target === undefined ? "" : `≤ ${target.toFixed(2)}x`,
        targetMs === undefined ? "" : `≤ ${targetMs.toFixed(1)} ms`,
      ]
        .filter(Boolean)
        .join("; "),
      judged(alone, quantile(ours, 0.5), target, targetMs),
      agent === undefined ? "" : judged(withAgent, quantile(agent, 0.5), target, targetMs),
      String(ours.length),
      requests === undefined ? "" : `${requests.ours.toFixed(1)} / ${requests.theirs.toFixed(1)}`,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "| what | polynic p50 ms | p90 | with the agent p50 | p90 | Go p50 | p90 | ratio | with the agent | target | polynic | with the agent | runs | API requests |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

function milliseconds(times: readonly number[], share: number): string {
  return times.length === 0 ? "–" : quantile(times, share).toFixed(1);
}

function ratioOf(ours: readonly number[], theirs: readonly number[]): number {
  return quantile(
    ours.map((value, index) => value / (theirs[index] ?? Number.NaN)),
    0.5,
  );
}

/** Whether what was measured meets its targets, or by how much it does not; "" without any. */
function judged(ratio: number, ms: number, target: number | undefined, targetMs: number | undefined): string {
  return [verdict(ratio, target, "", 2), verdict(ms, targetMs, " ms", 1)].filter(Boolean).join("; ");
}

/** "met", or by how much it is not; "" without a target. Compared as printed. */
function verdict(measured: number, target: number | undefined, unit: string, digits: number): string {
  if (target === undefined) return "";
  const excess = Number(measured.toFixed(digits)) - target;
  return excess <= 0 ? "met" : `missed by ${excess.toFixed(digits)}${unit}`;
}
