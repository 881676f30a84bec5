import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatKeys, parseKeys } from "./key-runs.ts";

const key = fc.oneof(
  fc.integer({ min: 0, max: 300 }).map(String),
  fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String),
);

test("keys are read as they were written, in whatever order", () => {
  fc.assert(
    fc.property(fc.uniqueArray(key), (keys) => {
      expect(parseKeys(formatKeys(keys))).toEqual(new Set(keys));
    }),
  );
});

test.each([
  [[], ""],
  [["7"], "7"],
  [["1", "2", "3", "5", "7", "8"], "1-3,5,7-8"],
  [["9007199254740993", "9007199254740994"], "9007199254740993,9007199254740994"],
  [["1", "a-b", "x y", "x", "2"], "1,x,2"],
])("%j is %j", (keys, want) => {
  expect(formatKeys(keys)).toBe(want);
});

test("what somebody else has written there is no more than a few keys that no address has", () => {
  expect([...parseKeys("5,,9-7,1-99999999999999,abc,1-x")]).toEqual(["5", "", "abc"]);
});
