import { expect, test } from "vitest";
import { KubeError, type KubeErrorKind } from "./error.ts";
import { backoffMs, retryDelayMs } from "./retry.ts";

const failure = (kind: KubeErrorKind, code?: number, retryAfterMs?: number): KubeError => {
  const status = code === undefined ? undefined : { code, reason: "", objectName: "" };
  return new KubeError(kind, "get pod a/b", "no", {
    status: status && retryAfterMs !== undefined ? { ...status, retryAfterMs } : status,
  });
};

test.each<[KubeErrorKind, number | undefined, boolean]>([
  ["unreachable", undefined, true],
  ["timeout", undefined, true],
  ["tls", undefined, false],
  ["config", undefined, false],
  ["protocol", undefined, false],
  ["status", 400, false],
  ["status", 401, false],
  ["status", 403, false],
  ["status", 404, false],
  ["status", 409, false],
  ["status", 422, false],
  ["status", 429, true],
  ["status", 500, true],
  ["status", 501, false],
  ["status", 503, true],
  ["status", 504, true],
])("a failure of kind %s with code %s is worth another try: %s", (kind, code, want) => {
  expect(retryDelayMs(failure(kind, code), 1) !== undefined).toBe(want);
});

test("the waits double up to a limit, and part of each is left to chance", () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 20].map((attempt) => backoffMs(attempt, 1000));
  [50, 100, 200, 400, 800, 1000, 1000, 1000].forEach((longest, index) => {
    expect(waits[index]).toBeGreaterThanOrEqual(longest / 2);
    expect(waits[index]).toBeLessThanOrEqual(longest);
  });
});

test("a server that says how long it wants to be left alone is obeyed", () => {
  expect(retryDelayMs(failure("status", 429, 3000), 1)).toBe(3000);
  expect(retryDelayMs(failure("status", 503, 0), 1)).toBeGreaterThan(0);
});
