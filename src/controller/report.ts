import type { Pools } from "../cluster/pools/port.ts";
import { decode, type Infer, array, integer, struct, text } from "../json/struct.ts";
import { releaseHolding } from "./collector.ts";
import type { Overview } from "./overview.ts";
import { confirmAfterMs } from "./scans.ts";
import type { Survey } from "./survey.ts";

const version = 1;

const reportSchema = struct({
  version: integer({ min: version, max: version }),
  /** Ms since the epoch. */
  takenMs: integer(),
  where: text(),
  leaked: array(
    struct({
      id: text(),
      version: text(),
      address: text(),
      pool: text(),
      podref: text(),
      ifName: text(),
      reason: text(),
    }),
  ),
});

/** What one look has found without a holder: the only thing that `release` acts on. */
export type Report = Infer<typeof reportSchema>;
export type ReportItem = Report["leaked"][number];

/** What became of an item of a report. */
export interface Release {
  readonly item: ReportItem;
  readonly outcome: "released" | "kept";
  readonly why: string;
}

/** The report of a look, to be written to a file. */
export function reportOf({ suspects }: Overview, where: string, takenMs: number): Report {
  const leaked = suspects.map(({ holding: { id, version, address, pool, podref, ifName }, reason }) => ({
    id,
    version,
    address,
    pool,
    podref,
    ifName,
    reason,
  }));
  return { version, takenMs, where, leaked };
}

/** A report out of a file's text. Throws `JsonError` or `SyntaxError` for anything else. */
export function parseReport(content: string): Report {
  return decode(reportSchema, JSON.parse(content));
}

/** How long a report has to wait before it may be acted on: the second of the two looks must be that much later. 0 when it may now. */
export function waitMs({ takenMs }: Report, nowMs: number): number {
  return Math.max(0, takenMs + confirmAfterMs - nowMs);
}

/**
 * Releases what a report says, as far as a second look still finds it: the same object, still without a holder. Nothing else is touched. Throws
 * `ClusterError` for the first that can't be released.
 */
export async function releaseReported(
  pools: Pools,
  report: Report,
  survey: Survey,
  { suspects, holdings }: Overview,
): Promise<Release[]> {
  const current = new Map(holdings.map((holding) => [holding.id, holding]));
  const lost = new Map(suspects.map((suspect) => [suspect.holding.id, suspect]));
  const done: Release[] = [];
  for (const item of report.leaked) {
    const holding = current.get(item.id);
    const suspect = lost.get(item.id);
    if (holding === undefined) done.push({ item, outcome: "kept", why: "it is gone already" });
    else if (holding.version !== item.version) done.push({ item, outcome: "kept", why: "it is another one's by now" });
    else if (suspect === undefined) done.push({ item, outcome: "kept", why: `pod ${item.podref} uses it` });
    else if (await releaseHolding(pools, holding, survey.pools))
      done.push({ item, outcome: "released", why: suspect.reason });
    else done.push({ item, outcome: "kept", why: "it changed at this moment" });
  }
  return done;
}
