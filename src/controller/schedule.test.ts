import { describe, expect, test } from "vitest";
import { loggerTo, silentLogger } from "../log/logger.ts";
import { nextTime, onSchedule } from "./schedule.ts";

const from = Date.parse("2026-03-01T10:17:30Z");

describe("when a schedule is due next", () => {
  test.each([
    ["* * * * *", "2026-03-01T10:18:00Z"],
    ["30 4 * * *", "2026-03-02T04:30:00Z"],
    ["*/5 * * * *", "2026-03-01T10:20:00Z"],
    ["@hourly", "2026-03-01T11:00:00Z"],
    ["@every 90s", "2026-03-01T10:19:00Z"],
    ["@every 2h", "2026-03-01T12:17:30Z"],
  ])("%s", (expression, want) => {
    expect(new Date(nextTime(expression, from)).toISOString()).toBe(new Date(want).toISOString());
  });

  test.each(["", "* * *", "61 * * * *", "@every", "soon"])("%j is refused, with an example", (expression) => {
    expect(() => nextTime(expression, from)).toThrow(/is no cron expression; expected five fields such as/);
  });

  test("a day that never comes is refused", () => {
    expect(() => nextTime("0 0 30 2 *", from)).toThrow(/is never due|is no cron expression/);
  });
});

test("work is done again and again, one at a time, until the signal", async () => {
  const stop = new AbortController();
  let running = 0;
  let runs = 0;
  await onSchedule({ expression: () => "@every 1s", signal: stop.signal, log: silentLogger }, async () => {
    running++;
    expect(running).toBe(1);
    await Bun.sleep(10);
    running--;
    if (++runs === 2) stop.abort();
  });
  expect(runs).toBe(2);
});

test("an expression that changes counts from then on, and one that can't be used does not", async () => {
  const stop = new AbortController();
  const lines: string[] = [];
  let asked = 0;
  const expressions = ["@hourly", "nonsense", "nonsense", "@every 1s"];
  const expression = (): string => expressions[Math.min(asked++, expressions.length - 1)] ?? "";
  await onSchedule(
    { expression, signal: stop.signal, log: loggerTo("verbose", ({ message }) => lines.push(message)) },
    async () => {
      stop.abort();
    },
  );
  expect(lines).toEqual([
    expect.stringMatching(/^the schedule stays "@hourly": "nonsense" is no cron expression/),
    'the schedule is "@every 1s" now',
  ]);
});
