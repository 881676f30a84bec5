import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PlayLog } from "./play-log.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-play-log-"));
  path = join(folder, "multus.log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const line = (level: string, message: string): string => `2026-11-22T03:00:00Z [${level}] ${message}\n`;

test("warned is of what was logged since the play began, once, and of nothing that went well", () => {
  writeFileSync(path, line("error", "of an earlier play"));
  const log = new PlayLog(path);
  appendFileSync(path, line("verbose", "Add: lan net1 container=x"));
  appendFileSync(path, line("error", "master eth1 is down"));
  appendFileSync(path, line("error", "master eth1 is down"));
  appendFileSync(path, line("panic", "no way"));
  expect(log.warnings([])).toEqual(["master eth1 is down", "no way"]);
});

test("what a failure tells is not told again", () => {
  const log = new PlayLog(path);
  const failure = { namespace: "default", name: "a", error: "no link eth9 (in /run/x)" };
  appendFileSync(path, line("error", "Multus: [default/a]: no link eth9; in /run/x"));
  appendFileSync(path, line("error", "undo of link net1 failed: no link eth9"));
  appendFileSync(path, line("error", "something else"));
  expect(log.warnings([failure])).toEqual(["something else"]);
});

test("a log that was rotated is read from its new beginning, and one that was never written has nothing", () => {
  writeFileSync(path, line("verbose", "long ago").repeat(9));
  const log = new PlayLog(path);
  writeFileSync(path, line("error", "new"));
  expect(log.warnings([])).toEqual(["new"]);
  rmSync(path);
  expect(log.warnings([])).toEqual([]);
});
