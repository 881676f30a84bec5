import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "../log/logger.ts";
import { clearSettled, forgetSettled, isSettled, markSettled } from "./settled.ts";

const hourMs = 3_600_000;
const noon = Date.parse("2026-11-21T12:30:00Z");
let cniDir = "";

beforeEach(() => {
  cniDir = mkdtempSync(join(tmpdir(), "polynic-settled-"));
});
afterEach(() => {
  rmSync(cniDir, { recursive: true });
});

test("a mark is found, only for its container, until it is cleared", () => {
  expect(isSettled(cniDir, "a", noon)).toBe(false);
  markSettled(cniDir, "a", silentLogger, noon);
  expect([isSettled(cniDir, "a", noon), isSettled(cniDir, "b", noon)]).toEqual([true, false]);
  clearSettled(cniDir, "a", noon);
  expect(isSettled(cniDir, "a", noon)).toBe(false);
});

test("marking twice and clearing nothing are fine", () => {
  clearSettled(cniDir, "a", noon);
  markSettled(cniDir, "a", silentLogger, noon);
  markSettled(cniDir, "a", silentLogger, noon);
  expect(isSettled(cniDir, "a", noon)).toBe(true);
});

test("a mark lasts into the next hour, and is removed with its folder in the one after", () => {
  markSettled(cniDir, "a", silentLogger, noon);
  expect(isSettled(cniDir, "a", noon + hourMs)).toBe(true);
  expect(isSettled(cniDir, "a", noon + 2 * hourMs)).toBe(false);
  markSettled(cniDir, "b", silentLogger, noon + hourMs);
  expect(readdirSync(join(cniDir, ".settled"))).toHaveLength(2);
  markSettled(cniDir, "c", silentLogger, noon + 2 * hourMs);
  expect(readdirSync(join(cniDir, ".settled"))).toHaveLength(2);
  expect(isSettled(cniDir, "b", noon + 2 * hourMs)).toBe(true);
});

test("a mark of the hour before is cleared too", () => {
  markSettled(cniDir, "a", silentLogger, noon);
  clearSettled(cniDir, "a", noon + hourMs);
  expect(isSettled(cniDir, "a", noon + hourMs)).toBe(false);
});

test("all are forgotten but those of containers that live, with the folders that are empty then", () => {
  markSettled(cniDir, "a", silentLogger, noon);
  for (const id of ["b", "c"]) markSettled(cniDir, id, silentLogger, noon + hourMs);
  forgetSettled(cniDir, new Set(["c"]));
  expect(["a", "b", "c"].map((id) => isSettled(cniDir, id, noon + hourMs))).toEqual([false, false, true]);
  expect(readdirSync(join(cniDir, ".settled"))).toHaveLength(1);
  forgetSettled(cniDir, new Set());
  expect(readdirSync(join(cniDir, ".settled"))).toEqual([]);
  forgetSettled(join(cniDir, "nowhere"), new Set());
});

test("a folder that can't be made costs the mark and nothing else", () => {
  writeFileSync(join(cniDir, ".settled"), "in the way");
  markSettled(cniDir, "a", silentLogger, noon);
  expect(isSettled(cniDir, "a", noon)).toBe(false);
  expect(existsSync(join(cniDir, ".settled"))).toBe(true);
});
