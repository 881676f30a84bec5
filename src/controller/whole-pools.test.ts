import { beforeEach, expect, test } from "vitest";
import { decode } from "../json/struct.ts";
import { type WholePool, wholePoolSchema, WholePools } from "./whole-pools.ts";

let whole: WholePools;
let nowMs: number;
beforeEach(() => {
  nowMs = 1000;
  whole = new WholePools(() => nowMs);
});

function poolAt(resourceVersion: string, entries = 1000): WholePool {
  const allocations = Object.fromEntries(Array.from({ length: entries }, (_, index) => [String(index), {}]));
  const metadata = { name: "10.0.0.0-16", uid: "u", resourceVersion, labels: { team: "a" } };
  return decode(wholePoolSchema, { metadata, spec: { range: "10.0.0.0/16", allocations, enable_l3: true } });
}

test("a large pool that nobody else changes may be sent back with all that is in it", () => {
  const listed = poolAt("1");
  whole.list([listed]);
  expect(whole.objectOf(listed.pool)).toMatchObject({ metadata: { labels: { team: "a" } }, spec: { enable_l3: true } });
  whole.list([poolAt("1", 999)]);
  expect(whole.objectOf(poolAt("1", 999).pool)).toBeUndefined();
});

test("only the state that was seen may be sent back", () => {
  whole.list([poolAt("1")]);
  expect(whole.objectOf(poolAt("2").pool)).toBeUndefined();
  whole.forget("10.0.0.0-16");
  expect(whole.objectOf(poolAt("1").pool)).toBeUndefined();
});

test.each(["before", "after"])(
  "what we have written, and see %s the answer comes, keeps nothing from being sent",
  (when) => {
    whole.list([poolAt("1")]);
    const next = poolAt("2");
    if (when === "before") whole.see(next);
    whole.wrote(next.pool);
    if (when === "after") whole.see(next);
    expect(whole.objectOf(next.pool)).toBe(next.object);
  },
);

test("where somebody else writes, or has been faster, the pool is patched for a while", () => {
  whole.list([poolAt("1")]);
  const theirs = poolAt("2");
  whole.see(theirs);
  expect(whole.objectOf(theirs.pool)).toBeUndefined();
  nowMs += 5000;
  expect(whole.objectOf(theirs.pool)).toBe(theirs.object);
  whole.refused(theirs.pool);
  expect(whole.objectOf(theirs.pool)).toBeUndefined();
});

test("without the right to it no pool is sent", () => {
  whole.list([poolAt("1")]);
  whole.forbidden();
  expect(whole.objectOf(poolAt("1").pool)).toBeUndefined();
});
