import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatPrefix, overlaps, parsePrefix, type Prefix } from "../ip/prefix.ts";
import { excludedRange, spansOf } from "../pool/spans.ts";
import type { SliceAllocation, SliceLayout } from "./free-slices.ts";
import { mostSlices, planSlices, restMs, type SliceNode } from "./slice-plan.ts";

const prefix = (text: string): Prefix => parsePrefix(text) ?? expect.fail(text);
const layout = (range: string, sliceBits: number, excluded: readonly string[] = []): SliceLayout => {
  const exclude = excluded.map(prefix).map(excludedRange);
  const spans = spansOf({ network: prefix(range), exclude, isL3: false, isSliced: true });
  return { range: prefix(range), sliceBits, spans, isL3: false };
};
const node = (name: string, uid = `uid-${name}`): SliceNode => ({ name, uid });
const list = (...pairs: readonly (readonly [nodeName: string, sliceRange: string])[]): SliceAllocation[] =>
  pairs.map(([nodeName, sliceRange]) => ({ nodeName, sliceRange }));

interface Row {
  readonly name: string;
  readonly layouts?: readonly SliceLayout[];
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
/** IPv6 has more slices than are listed. */
const dual = [four, layout("fd00::/64", 124)];
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
    layouts: [layout("10.0.0.0/26", 28, ["10.0.0.0/28", "10.0.0.32/27"])],
    nodes: [node("a"), node("b")],
    want: list(["a", "10.0.0.16/28"]),
    without: ["b"],
  },
  {
    name: "another size of slices does not touch those with held addresses",
    layouts: [layout("10.0.0.0/26", 27)],
    nodes: [node("a"), node("b")],
    before: list(["a", "10.0.0.0/28"], ["b", "10.0.0.16/28"]),
    owners: { a: "uid-a", b: "uid-b" },
    held: { "10.0.0.16/28": 2 },
    want: list(["a", "10.0.0.32/27"], ["b", "10.0.0.16/28"]),
    without: ["b"],
  },
  {
    name: "another range leaves the held slices of the old one",
    layouts: [layout("10.9.0.0/27", 28)],
    nodes: [node("a"), node("b")],
    before: list(["a", "10.0.0.0/28"], ["b", "10.0.0.16/28"]),
    held: { "10.0.0.0/28": 1, "10.0.0.16/28": 1 },
    want: list(["a", "10.9.0.0/28"], ["b", "10.9.0.16/28"], ["a", "10.0.0.0/28"], ["b", "10.0.0.16/28"]),
  },
  {
    name: "family 6 is divided too",
    layouts: [layout("fd00:1::/62", 64)],
    nodes: [node("a"), node("b")],
    want: list(["a", "fd00:1::/64"], ["b", "fd00:1:0:1::/64"], ["", "fd00:1:0:2::/64"], ["", "fd00:1:0:3::/64"]),
  },
  {
    name: "each node gets a slice of each range; what is free of further ones is not listed",
    layouts: dual,
    nodes: [node("b"), node("a")],
    want: list(
      ["a", "10.0.0.0/28"],
      ["b", "10.0.0.16/28"],
      ["", "10.0.0.32/28"],
      ["", "10.0.0.48/28"],
      ["a", "fd00::/124"],
      ["b", "fd00::10/124"],
    ),
  },
  {
    name: "a range that is added leaves the slices of the first one where they are",
    layouts: dual,
    nodes: [node("a"), node("b")],
    before: list(["", "10.0.0.0/28"], ["b", "10.0.0.16/28"], ["a", "10.0.0.32/28"]),
    want: list(
      ["", "10.0.0.0/28"],
      ["b", "10.0.0.16/28"],
      ["a", "10.0.0.32/28"],
      ["", "10.0.0.48/28"],
      ["a", "fd00::/124"],
      ["b", "fd00::10/124"],
    ),
  },
  {
    name: "ranges that change places leave all slices with their nodes",
    layouts: [layout("fd00::/122", 124), four],
    nodes: [node("a"), node("b")],
    before: list(["a", "10.0.0.0/28"], ["b", "10.0.0.16/28"], ["a", "fd00::20/124"], ["b", "fd00::10/124"]),
    want: list(
      ["", "fd00::/124"],
      ["b", "fd00::10/124"],
      ["a", "fd00::20/124"],
      ["", "fd00::30/124"],
      ["a", "10.0.0.0/28"],
      ["b", "10.0.0.16/28"],
    ),
  },
  {
    name: "only the range that is nearly full gives a node another slice",
    layouts: dual,
    nodes: [node("a")],
    before: list(["a", "10.0.0.0/28"], ["a", "fd00::/124"]),
    held: { "10.0.0.0/28": 12, "fd00::/124": 13 },
    want: list(
      ["a", "10.0.0.0/28"],
      ["", "10.0.0.16/28"],
      ["", "10.0.0.32/28"],
      ["", "10.0.0.48/28"],
      ["a", "fd00::/124"],
      ["a", "fd00::10/124"],
    ),
  },
  {
    name: "a node without a slice of the first range gets none of the others, where Go would take it for one of the first",
    layouts: [layout("10.0.0.0/28", 28), layout("fd00::/64", 124)],
    nodes: [node("a"), node("b")],
    want: list(["a", "10.0.0.0/28"], ["a", "fd00::/124"]),
    without: ["b"],
  },
  {
    name: "a further range with fewer slices than nodes",
    layouts: [four, layout("fd00::/124", 124)],
    nodes: [node("a"), node("b")],
    want: list(
      ["a", "10.0.0.0/28"],
      ["b", "10.0.0.16/28"],
      ["", "10.0.0.32/28"],
      ["", "10.0.0.48/28"],
      ["a", "fd00::/124"],
    ),
    without: ["b"],
  },
  {
    name: "a machine that bears the name of another one gets slices of its own of each range with the other's addresses",
    layouts: dual,
    nodes: [node("a", "new")],
    before: list(["a", "10.0.0.0/28"], ["a", "fd00::/124"]),
    owners: { a: "old" },
    held: { "10.0.0.0/28": 3, "fd00::/124": 3 },
    want: list(
      ["a~old", "10.0.0.0/28"],
      ["a", "10.0.0.16/28"],
      ["", "10.0.0.32/28"],
      ["", "10.0.0.48/28"],
      ["a~old", "fd00::/124"],
      ["a", "fd00::10/124"],
    ),
  },
  {
    name: "a range that is taken out leaves its held slices listed, and only those",
    nodes: [node("a"), node("b")],
    before: list(["a", "10.0.0.0/28"], ["b", "10.0.0.16/28"], ["a", "fd00::/124"], ["b", "fd00::10/124"]),
    held: { "fd00::10/124": 1 },
    want: list(
      ["a", "10.0.0.0/28"],
      ["b", "10.0.0.16/28"],
      ["", "10.0.0.32/28"],
      ["", "10.0.0.48/28"],
      ["b", "fd00::10/124"],
    ),
  },
  {
    name: "ranges that overlap never have the same address in slices of two nodes",
    layouts: [four, layout("10.0.0.0/26", 29)],
    nodes: [node("a"), node("b")],
    want: list(
      ["a", "10.0.0.0/28"],
      ["b", "10.0.0.16/28"],
      ["", "10.0.0.48/28"],
      ["a", "10.0.0.32/29"],
      ["b", "10.0.0.40/29"],
    ),
  },
  {
    name: "of a range with more slices than can be listed those that nodes have are, however far behind what is excluded they begin",
    layouts: [layout("fd00::/64", 122, ["fd00::/65"])],
    nodes: [node("a"), node("b")],
    want: list(["a", "fd00::8000:0:0:0/122"], ["b", "fd00::8000:0:0:40/122"]),
  },
  {
    name: "a held slice of another size is passed over in one step, however many slices lie in it",
    layouts: [layout("fd00::/56", 122)],
    nodes: [node("a")],
    before: list(["b", "fd00::/64"]),
    held: { "fd00::/64": 1 },
    want: list(["a", "fd00:0:0:1::/122"], ["b", "fd00::/64"]),
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
  const plan = planSlices(row.layouts ?? [four], nodes, state);
  expect(plan.allocations).toEqual(want);
  expect(plan.without.map((each) => each.node)).toEqual(without);
});

test("planning again changes nothing", () => {
  const nodes = [node("a"), node("b", "new")];
  const held = ({ sliceRange }: SliceAllocation) => (sliceRange === "10.0.0.16/28" ? 5 : 0);
  const before = { allocations: list(["b", "10.0.0.16/28"]), owners: { b: "old" }, vacatedMs: {} };
  const first = planSlices([four], nodes, { ...before, held, nowMs: 0 });
  expect(planSlices([four], nodes, { ...first, held, nowMs: 1 })).toEqual(first);
});

describe("whatever comes and goes", () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const step = fc.record({
    nodes: fc.uniqueArray(fc.record({ name: fc.constantFrom(...names), uid: fc.constantFrom("1", "2", "3") }), {
      selector: ({ name }) => name,
    }),
    held: fc.dictionary(
      fc.constantFrom("10.0.0.0/28", "10.0.0.16/28", "10.0.0.32/28", "10.0.0.0/27", "10.0.0.32/29", "fd00::/124"),
      fc.nat(14),
    ),
    bits: fc.constantFrom(27, 28),
    further: fc.constantFrom([], [layout("fd00::/122", 124)], [layout("10.0.0.32/27", 29), layout("fd00::/64", 124)]),
  });

  test("slices never overlap, and held ones are never anybody else's", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        let allocations: readonly SliceAllocation[] = [];
        let owners: Readonly<Record<string, string>> = {};
        let vacatedMs: Readonly<Record<string, number>> = {};
        let nowMs = 0;
        for (const { nodes, held, bits, further } of steps) {
          nowMs += 90_000;
          const before = allocations;
          const isHeld = ({ nodeName, sliceRange }: SliceAllocation) => (nodeName === "" ? 0 : (held[sliceRange] ?? 0));
          ({ allocations, owners, vacatedMs } = planSlices([layout("10.0.0.0/26", bits), ...further], nodes, {
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

test("no more slices are assigned than an object holds", () => {
  const nodes = Array.from({ length: mostSlices + 1 }, (_, index) => node(`n${String(index).padStart(5, "0")}`));
  const state = { allocations: [], owners: {}, held: () => 0, vacatedMs: {}, nowMs: 0 };
  const { allocations, without } = planSlices([layout("10.0.0.0/8", 24)], nodes, state);
  expect(allocations).toHaveLength(mostSlices);
  expect(without.map((each) => each.node)).toEqual([`n0${mostSlices}`]);
});
