import { expect, test } from "vitest";
import { compareVersions, familyOf, isAtLeast, versionNumbers, versions, versionsSince } from "./version.ts";

test.each([
  ["", [0, 1, 0]],
  ["1", [1, 0, 0]],
  ["1.1", [1, 1, 0]],
  ["0.4.0", [0, 4, 0]],
  ["10.20.30", [10, 20, 30]],
  ["1.1.0.0", undefined],
  ["1..0", undefined],
  ["v1.0.0", undefined],
  ["1.0.0-rc1", undefined],
  [" 1.0.0", undefined],
])("%j is version %j", (text, want) => {
  expect(versionNumbers(text)).toEqual(want);
});

test("versions order as numbers, and the list is in that order", () => {
  const numbers = versions.map((version) => versionNumbers(version)!);
  expect(numbers.toSorted(compareVersions)).toEqual(numbers);
  expect(compareVersions([0, 10, 0], [0, 9, 9])).toBeGreaterThan(0);
  expect(compareVersions([1, 0, 0], [1, 0, 0])).toBe(0);
  expect(isAtLeast("0.4.0", "0.3.1")).toBe(true);
  expect(isAtLeast("0.3.1", "0.4.0")).toBe(false);
});

test("every version is of exactly one family", () => {
  expect(familyOf("0.3.1")).toEqual(["0.3.0", "0.3.1", "0.4.0"]);
  for (const version of versions) expect(familyOf(version)).toContain(version);
});

test("a plugin speaks all versions from its oldest on", () => {
  expect(versionsSince()).toEqual(versions);
  expect(versionsSince("0.4.0")).toEqual(["0.4.0", "1.0.0", "1.1.0"]);
});
