import { pause } from "../libc/pause.ts";
import type { Logger } from "../log/logger.ts";
import { messageOf } from "../words/message.ts";

export interface ScheduleOptions {
  /** Asked again and again, so that another one counts from then on; throws when there is none to be had. */
  readonly expression: () => string;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** How soon a changed expression is noticed. */
const pollMs = 2000;
const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Runs `work` at the times of a cron expression (five fields, or a nickname such as @hourly, in UTC; or "@every 90s") until the signal is aborted.
 * Runs never overlap: times that pass meanwhile are left out. An expression that can't be used is said, and the last good one goes on.
 * Rejects as `work` does.
 */
export async function onSchedule(
  { expression, signal, log }: ScheduleOptions,
  work: () => Promise<void>,
): Promise<void> {
  let current = expression();
  let problem = "";
  let next = nextTime(current, Date.now());
  while (!signal.aborted) {
    const leftMs = next - Date.now();
    if (leftMs <= 0) {
      await work();
      next = nextTime(current, Date.now());
      continue;
    }
    await pause(Math.min(leftMs, pollMs), signal);
    try {
      const wanted = expression();
      if (wanted !== current) next = nextTime(wanted, Date.now());
      problem = "";
      if (wanted === current) continue;
      current = wanted;
      log.verbose(`the schedule is ${JSON.stringify(current)} now`);
    } catch (error) {
      const message = messageOf(error);
      if (message !== problem) log.error(`the schedule stays ${JSON.stringify(current)}: ${message}`);
      problem = message;
    }
  }
}

/** When the schedule is due next, in ms since the epoch. Throws `RangeError` for what is no expression, or never due. */
export function nextTime(expression: string, fromMs: number): number {
  const every = /^@every (\d+)([smh])$/.exec(expression);
  const stepMs = Number(every?.[1] ?? 0) * (units[every?.[2] ?? ""] ?? 0);
  if (stepMs > 0) return fromMs + stepMs;
  let next: Date | null;
  try {
    next = Bun.cron.parse(expression, fromMs, { tz: "UTC" });
  } catch (cause) {
    const hint = 'five fields such as "*/5 * * * *", @hourly, or "@every 90s"';
    throw new RangeError(`${JSON.stringify(expression)} is no cron expression; expected ${hint}`, { cause });
  }
  if (next === null) throw new RangeError(`${JSON.stringify(expression)} is never due`);
  return next.getTime();
}
