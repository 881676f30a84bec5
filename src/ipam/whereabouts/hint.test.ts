import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HintFile } from "./hint.ts";

const pool = "10.0.0.0-24";
const minuteMs = 60_000;
let folder: string;
let hints: HintFile;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-hint-"));
  hints = new HintFile(folder, pool, true);
});
afterEach(() => rmSync(folder, { recursive: true }));

const lowest = (): string | undefined =>
  hints.choose(({ avoided }) => ["1", "2", "3"].find((key) => !avoided.has(key)));
const avoided = (ageMs = 0): string[] => [...hints.read(Date.now() + ageMs).avoided];

test("no two calls choose the same, until one has given it back", () => {
  expect([lowest(), lowest(), lowest(), lowest()]).toEqual(["1", "2", "3", undefined]);
  hints.released("2");
  expect(lowest()).toBe("2");
});

test("what a call chose and never claimed is free for others again after a while, sooner than what somebody else had", () => {
  lowest();
  hints.refused("2");
  hints.claimed("3", 1);
  expect([0, 20_000, minuteMs, 11 * minuteMs].map((ageMs) => avoided(ageMs))).toEqual([
    ["1", "2", "3"],
    ["2", "3"],
    ["3"],
    [],
  ]);
});

test("the window of the last claim, and an index that lags, are known for half a minute", () => {
  hints.claimed("1", 64);
  hints.indexIsBehind();
  const known = (ageMs: number) => {
    const { window, isIndexBehind } = hints.read(Date.now() + ageMs);
    return [window, isIndexBehind];
  };
  expect([known(0), known(minuteMs)]).toEqual([
    [64, true],
    [1, false],
  ]);
});

test("a file that grows is cut down to what was claimed last, and no line of it is older than it was", () => {
  for (let key = 0; key < 3000; key++) hints.claimed(String(key), 1);
  const path = join(folder, "hints", pool);
  expect(statSync(path).size).toBeLessThan(34 * 1024);
  expect(avoided()).toContain("2999");
  expect(avoided(11 * minuteMs)).toEqual([]);
});

test.each([
  ["text that is no hint", "hello\n\n1 2\n- - -\n"],
  ["a line that was cut short", `${Date.now()} +`],
])("%s says nothing", (_, text) => {
  hints.claimed("7", 1);
  const path = join(folder, "hints", pool);
  writeFileSync(path, readFileSync(path, "utf8") + text);
  expect(avoided()).toContain("7");
});

test("where nothing can be written everybody chooses by chance and the store decides", () => {
  writeFileSync(join(folder, "file"), "");
  hints = new HintFile(join(folder, "file"), pool, true);
  expect([lowest(), lowest()]).toEqual(["1", "1"]);
});
