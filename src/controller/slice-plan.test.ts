import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { containsIp, formatPrefix, lastIp, overlaps, parsePrefix, type Prefix } from "../ip/prefix.ts";
import { planSlices, restMs, type SliceAllocation, type SliceLayout, type SliceNode } from "./slice-plan.ts";

const prefix = (text: string): Prefix => parsePrefix(text) ?? expect.fail(text);
const isCovered = (slice: Prefix, networks: readonly Prefix[]): boolean =>
  networks.some((network) => containsIp(network, slice.ip) && containsIp(network, lastIp(slice)));
const layout = (range: string, sliceBits: number, excluded: readonly string[] = []): SliceLayout => ({
  range: prefix(range),
  sliceBits,
  usable: (slice) => (isCovered(slice, excluded.map(prefix)) ? 0 : 14),
});
const node = (name: string, uid = `uid-${name}`): SliceNode => ({ name, uid });
const list = (...pairs: readonly (readonly [nodeName: string, sliceRange: string])[]): SliceAllocation[] =>
  pairs.map(([nodeName, sliceRange]) => ({ nodeName, sliceRange }));

interface Row {
  readonly name: string;
  readonly layout?: SliceLayout;
  readonly nodes: readonly SliceNode[];
  readonly before?: readonly SliceAllocation[];
  readonly owners?: Readonly<Record<string, string>>;
  /** Slices with so many held addresses. */
  readonly held?: Readonly<Record<string, number>>;
  /** When slices lost their nodes, if they did; long ago. */
  readonly vacated?: number;
  readonly want: readonly SliceAllocation[];
  readonly without?: readonly string[];
}

const four = layout("10.0.0.0/26", 28);
const rows: readonly Row[] = [
  {
    name: "nodes get the lowest slices in the order of their names",
    nodes: [node("b"), node("a")],
    want: list(["a", "10.0.0.0/28"], ["b", "10.0.0.16/28"], ["", "10.0.0.32/28"], ["", "10.0.0.48/28"]),
  },
  {
    name: "a node keeps its slice when others come and go",
    nodes: [node("a"), node("c")],
    before: list(["b", "10.0.0.0/28"], ["c", "10.0.0.16/28"]),
    owners: { b: "uid-b", c: "uid-c" },
    want: list(["a", "10.0.0.0/28"], ["c", "10.0.0.16/28"], ["", "10.0.0.32/28"], ["", "10.0.0.48/28"]),
  },
  {
    name: "a slice whose node is gone rests before another one gets it",
    nodes: [node("a")],
    before: list(["b", "10.0.0.0/28"]),
    vacated: 1,
    want: list(["b", "10.0.0.0/28"], ["a", "10.0.0.16/28"], ["", "10.0.0.32/28"], ["", "10.0.0.48/28"]),
  },
  {
    name: "the slice of a node that is gone stays while addresses of it are held",
    nodes: [node("a")],
    before: list(["b", "10.0.0.0/28"]),
    owners: { b: "uid-b" },
    held: { "10.0.0.0/28": 1 },
    want: list(["b", "10.0.0.0/28"], ["a", "10.0.0.16/28"], ["", "10.0.0.32/28"], ["", "10.0.0.48/28"]),
  },
  {
    name: "a machine that bears the name of another one does not get the slice with the other's addresses",
    nodes: [node("a", "new")],
    before: list(["a", "10.0.0.0/28"]),
    owners: { a: "old" },
    held: { "10.0.0.0/28": 3 },
    want: list(["a~old", "10.0.0.0/28"], ["a", "10.0.0.16/28"], ["", "10.0.0.32/28"], ["", "10.0.0.48/28"]),
  },
  {
    name: "it gets it when nothing of it is held",
    nodes: [node("a", "new")],
    before: list(["a", "10.0.0.0/28"]),
    owners: { a: "old" },
    want: list(["a", "10.0.0.0/28"], ["", "10.0.0.16/28"], ["", "10.0.0.32/28"], ["", "10.0.0.48/28"]),
  },
  {
    name: "a former node's slice is free when its addresses are",
    nodes: [node("a", "new"), node("b")],
    before: list(["a~old", "10.0.0.0/28"], ["a", "10.0.0.16/28"]),
    owners: { a: "new" },
    want: list(["b", "10.0.0.0/28"], ["a", "10.0.0.16/28"], ["", "10.0.0.32/28"], ["", "10.0.0.48/28"]),
  },
  {
    name: "what Go's controller has assigned is kept",
    nodes: [node("a")],
    before: list(["", "10.0.0.0/28"], ["a", "10.0.0.48/28"]),
    held: { "10.0.0.48/28": 3 },
    want: list(["", "10.0.0.0/28"], ["", "10.0.0.16/28"], ["", "10.0.0.32/28"], ["a", "10.0.0.48/28"]),
  },
  {
    name: "a node whose slice is nearly full gets another one",
    nodes: [node("a")],
    before: list(["a", "10.0.0.0/28"]),
    held: { "10.0.0.0/28": 13 },
    want: list(["a", "10.0.0.0/28"], ["a", "10.0.0.16/28"], ["", "10.0.0.32/28"], ["", "10.0.0.48/28"]),
  },
  {
    name: "a slice that is excluded as a whole is given to nobody",
    layout: layout("10.0.0.0/26", 28, ["10.0.0.0/28", "10.0.0.32/27"]),
    nodes: [node("a"), node("b")],
    want: list(["a", "10.0.0.16/28"]),
    without: ["b"],
  },
  {
    name: "another size of slices does not touch those with held addresses",
    layout: layout("10.0.0.0/26", 27),
    nodes: [node("a"), node("b")],
    before: list(["a", "10.0.0.0/28"], ["b", "10.0.0.16/28"]),
    owners: { a: "uid-a", b: "uid-b" },
    held: { "10.0.0.16/28": 2 },
    want: list(["a", "10.0.0.32/27"], ["b", "10.0.0.16/28"]),
    without: ["b"],
  },
  {
    name: "another range leaves the held slices of the old one",
    layout: layout("10.9.0.0/27", 28),
    nodes: [node("a"), node("b")],
    before: list(["a", "10.0.0.0/28"], ["b", "10.0.0.16/28"]),
    held: { "10.0.0.0/28": 1, "10.0.0.16/28": 1 },
    want: list(["a", "10.9.0.0/28"], ["b", "10.9.0.16/28"], ["a", "10.0.0.0/28"], ["b", "10.0.0.16/28"]),
  },
  {
    name: "family 6 is divided too",
    layout: layout("fd00:1::/62", 64),
    nodes: [node("a"), node("b")],
    want: list(["a", "fd00:1::/64"], ["b", "fd00:1:0:1::/64"], ["", "fd00:1:0:2::/64"], ["", "fd00:1:0:3::/64"]),
  },
];

test.each(rows)("$name", ({ nodes, before = [], owners = {}, held = {}, vacated = 0, want, without = [], ...row }) => {
  const vacatedMs = Object.fromEntries(before.map(({ sliceRange }) => [sliceRange, vacated]));
  const state = {
    allocations: before,
    owners,
    held: ({ sliceRange }: SliceAllocation) => held[sliceRange] ?? 0,
    vacatedMs,
    nowMs: restMs,
  };
  const plan = planSlices(row.layout ?? four, nodes, state);
  expect(plan.allocations).toEqual(want);
  expect(plan.without).toEqual(without);
});

test("planning again changes nothing", () => {
  const nodes = [node("a"), node("b", "new")];
  const held = ({ sliceRange }: SliceAllocation) => (sliceRange === "10.0.0.16/28" ? 5 : 0);
  const before = { allocations: list(["b", "10.0.0.16/28"]), owners: { b: "old" }, vacatedMs: {} };
  const first = planSlices(four, nodes, { ...before, held, nowMs: 0 });
  expect(planSlices(four, nodes, { ...first, held, nowMs: 1 })).toEqual(first);
});

describe("whatever comes and goes", () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const step = fc.record({
    nodes: fc.uniqueArray(fc.record({ name: fc.constantFrom(...names), uid: fc.constantFrom("1", "2", "3") }), {
      selector: ({ name }) => name,
    }),
    held: fc.dictionary(fc.constantFrom("10.0.0.0/28", "10.0.0.16/28", "10.0.0.32/28", "10.0.0.0/27"), fc.nat(14)),
    bits: fc.constantFrom(27, 28),
  });

  test("slices never overlap, and held ones are never anybody else's", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        let allocations: readonly SliceAllocation[] = [];
        let owners: Readonly<Record<string, string>> = {};
        let vacatedMs: Readonly<Record<string, number>> = {};
        let nowMs = 0;
        for (const { nodes, held, bits } of steps) {
          nowMs += 90_000;
          const before = allocations;
          const isHeld = ({ nodeName, sliceRange }: SliceAllocation) => (nodeName === "" ? 0 : (held[sliceRange] ?? 0));
          ({ allocations, owners, vacatedMs } = planSlices(layout("10.0.0.0/26", bits), nodes, {
            allocations,
            owners,
            held: isHeld,
            vacatedMs,
            nowMs,
          }));
          const prefixes = allocations.map(({ sliceRange }) => prefix(sliceRange));
          prefixes.forEach((one, index) =>
            prefixes.slice(index + 1).forEach((other) => {
              expect(overlaps(one, other), `${formatPrefix(one)} ${formatPrefix(other)}`).toBe(false);
            }),
          );
          for (const { nodeName, sliceRange } of before.filter((each) => isHeld(each) > 0)) {
            const now = allocations.find((each) => each.sliceRange === sliceRange);
            expect(now?.nodeName.split("~")[0]).toBe(nodeName.split("~")[0]);
          }
        }
      }),
    );
  });
});

const refused: readonly (readonly [string, string, number, RegExp])[] = [
  ["a slice larger than the range", "10.0.0.0/24", 20, /\/20 does not divide 10\.0\.0\.0\/24: expected \/24 to \/32/],
  ["more slices than an object holds", "10.0.0.0/8", 24, /makes more than 8192 slices of 10\.0\.0\.0\/8/],
];

test.each(refused)("is refused: %s", (_, range, bits, message) => {
  expect(() =>
    planSlices(layout(range, bits), [], { allocations: [], owners: {}, held: () => 0, vacatedMs: {}, nowMs: 0 }),
  ).toThrow(message);
});
