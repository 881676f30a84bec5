/** One measured call: wall milliseconds of ours and theirs, run by run, pairs at equal positions. */
export interface Row {
  readonly what: string;
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
  /** The budget for ours/theirs, where there is one. */
  readonly target?: number;
  /** The budget for ours alone, in milliseconds. */
  readonly targetMs?: number;
  /** Requests to the API server for each call, where there is one. */
  readonly requests?: { readonly ours: number; readonly theirs: number };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The rows as a Markdown table: medians and 90th percentiles, the median of the pairwise ratios, and the target with by how much it is missed. */
export function renderTable(rows: readonly Row[]): string {
  const lines = rows.map(({ what, ours, theirs, target, targetMs, requests }) => {
    const ratio = quantile(
      ours.map((value, index) => value / (theirs[index] ?? Number.NaN)),
      0.5,
    );
    const cells = [
      what,
      quantile(ours, 0.5).toFixed(1),
      quantile(ours, 0.9).toFixed(1),
      theirs.length === 0 ? "–" : quantile(theirs, 0.5).toFixed(1),
      theirs.length === 0 ? "–" : quantile(theirs, 0.9).toFixed(1),
      theirs.length === 0 ? "–" : `${ratio.toFixed(2)}x`,
      [verdict(ratio, target, "x", 2), verdict(quantile(ours, 0.5), targetMs, " ms", 1)].filter(Boolean).join("; "),
      String(ours.length),
      requests === undefined ? "" : `${requests.ours.toFixed(1)} / ${requests.theirs.toFixed(1)}`,
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "| what | polynic p50 ms | p90 | Go p50 ms | p90 | ratio | target | pairs | API requests |",
    "|---|---|---|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

/** "≤ 0.40x, met", or by how much it is not; "" without a target. Compared as printed. */
function verdict(measured: number, target: number | undefined, unit: string, digits: number): string {
  if (target === undefined) return "";
  const excess = Number(measured.toFixed(digits)) - target;
  const outcome = excess <= 0 ? "met" : `missed by ${excess.toFixed(digits)}`;
  return `≤ ${target.toFixed(digits)}${unit}, ${outcome}`;
}
