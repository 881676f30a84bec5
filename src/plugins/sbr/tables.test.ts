import { expect, test } from "vitest";
import { parsePrefix } from "../../ip/prefix.ts";
import type { Route } from "../../rtnl/route.ts";
import type { Rule } from "../../rtnl/rule.ts";
import { freeTables, occupiedTables } from "./tables.ts";
import { isMarked, isSourceRule } from "./rules.ts";

test.each<[string, number[], number, number[]]>([
  ["the first from 100 on", [], 2, [100, 101]],
  ["none that is taken", [100, 102], 2, [101, 103]],
  ["none below 100", [1, 2], 1, [100]],
  ["none of the kernel's own", Array.from({ length: 153 }, (_, at) => 100 + at), 1, [256]],
])("free tables are %s", (_, taken, count, want) => {
  const routes = taken.map((table) => ({ table }) as Route);
  expect(
    freeTables(
      occupiedTables([], routes, () => false),
      count,
    ),
  ).toEqual(want);
});

test("a table is occupied by a rule or by a route, a claim of one's own excepted", () => {
  const rules = [{ table: 100 }, {}] as Rule[];
  const routes = [{ table: 101 }, { table: 102 }] as Route[];
  const occupied = occupiedTables(rules, routes, ({ table }) => table === 102);
  expect([...occupied].sort((a, b) => a - b)).toEqual([0, 100, 101, 253, 254, 255]);
});

const rule: Rule = {
  family: 4,
  priority: 32765,
  source: parsePrefix("192.0.2.5/32")!,
  table: 100,
  action: 1,
  invert: false,
  l3mdev: false,
  tos: 0,
};

test.each<[string, Partial<Rule>, boolean]>([
  ["from one address", {}, true],
  ["of IPv6", { family: 6, source: parsePrefix("2001:db8::5/128")! }, true],
  ["from a network", { source: parsePrefix("192.0.2.0/24")! }, false],
  ["from anywhere", { source: undefined }, false],
  ["to the main table", { table: 254 }, false],
  ["to no table", { table: undefined }, false],
  ["to a table above the kernel's own", { table: 256 }, true],
  ["that drops", { action: 6 }, false],
  ["that is turned over", { invert: true }, false],
  ["for a service", { tos: 16 }, false],
  ["to a destination", { destination: parsePrefix("10.0.0.0/8")! }, false],
  ["from an interface", { inputDevice: "net1" }, false],
  ["to an interface", { outputDevice: "net1" }, false],
  ["for a mark", { mark: 1 }, false],
  ["without default routes", { suppressPrefixLength: 0 }, false],
])("a rule %s may be of sbr: %o %s", (_, own, want) => {
  expect(isSourceRule({ ...rule, ...own })).toBe(want);
});

test("a rule of another program has not our mark", () => {
  expect([isMarked(rule), isMarked({ ...rule, protocol: 4 }), isMarked({ ...rule, protocol: 201 })]).toEqual([
    false,
    false,
    true,
  ]);
});
