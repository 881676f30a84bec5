import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeState, encodeState, mergeEvents } from "./pod-state.ts";

const text = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom(
    "yes",
    "null",
    "1",
    "~",
    "a: b",
    "# no",
    "- x",
    "|",
    "a\nb",
    "a\n\n  b\n",
    " a\nb",
    "a\tb\nc",
    "'",
    '"',
    "\\",
    "",
  ),
);

const state = fc.record({
  namespace: text,
  name: text,
  uid: text,
  annotations: fc.dictionary(text, text, { noNullPrototype: true }),
  events: fc.array(
    fc.record({
      type: fc.constantFrom("Normal" as const, "Warning" as const),
      reason: text,
      message: text,
      count: fc.nat(),
      firstTimestamp: fc.constant("2026-11-21T10:00:00.000Z"),
      lastTimestamp: fc.constant("2026-11-21T10:00:01.000Z"),
    }),
  ),
});

describe("a pod's state", () => {
  test("is read back as it was written", () => {
    fc.assert(
      fc.property(state, (value) => {
        expect(decodeState(encodeState(value), "x.yaml")).toEqual(value);
      }),
    );
  });
  test.each([
    "",
    "a: [",
    "kind: Pod",
    "metadata: {name: a, namespace: b, uid: 1}",
    "metadata: {name: a, namespace: b, uid: c}\nevents: {}",
  ])("is refused when it reads %j", (content) => {
    expect(() => decodeState(content, "x.yaml")).toThrow("remove the file");
  });
});

test("an event that comes again moves to the end and keeps when it was first seen", () => {
  const a = { type: "Normal", reason: "A", message: "a" } as const;
  const b = { type: "Normal", reason: "B", message: "b" } as const;
  expect(mergeEvents(mergeEvents([], [a, b], "t1"), [a], "t2")).toEqual([
    { ...b, count: 1, firstTimestamp: "t1", lastTimestamp: "t1" },
    { ...a, count: 2, firstTimestamp: "t1", lastTimestamp: "t2" },
  ]);
});
