import { expect, test } from "vitest";
import { type LogEntry, type LogLevel, loggerTo, silentLogger } from "./logger.ts";

const levels: readonly LogLevel[] = ["debug", "verbose", "error", "panic"];

test.each([
  ["debug", ["debug", "verbose", "error", "panic"]],
  ["verbose", ["verbose", "error", "panic"]],
  ["error", ["error", "panic"]],
  ["panic", ["panic"]],
] as const)("level %s lets through %j", (level, want) => {
  const entries: LogEntry[] = [];
  const logger = loggerTo(level, (entry) => entries.push(entry));
  for (const each of levels) logger[each]("x");
  expect(entries.map((entry) => entry.level)).toEqual(want);
});

test("fields gather from with to with, and a line's own come last", () => {
  const entries: LogEntry[] = [];
  const logger = loggerTo("debug", (entry) => entries.push(entry), { node: "a" });
  const inner = logger.with({ pod: "p", network: "n" }).with({ network: "m" });
  inner.debug("one");
  inner.error("two", { pod: "q", step: 1 });
  logger.panic("three");
  expect(entries.map((entry) => entry.fields)).toEqual([
    { node: "a", pod: "p", network: "m" },
    { node: "a", pod: "q", network: "m", step: 1 },
    { node: "a" },
  ]);
});

test("the silent logger takes everything and stays silent", () => {
  const logger = silentLogger.with({ pod: "p" });
  for (const level of levels) logger[level]("x", { a: 1 });
  expect(logger).toBe(silentLogger);
});
