import { expect, test } from "vitest";
import { editDistance, listNames, nearMisses } from "./near-miss.ts";

test.each([
  ["", "", 0],
  ["", "abc", 3],
  ["kitten", "sitting", 3],
  ["macvlan", "mcavlan", 1],
  ["flaw", "lawn", 2],
])("from %j to %j it takes %d edits", (a, b, want) => {
  expect(editDistance(a, b)).toBe(want);
  expect(editDistance(b, a)).toBe(want);
});

test.each([
  ["eth0", "Eth0", true],
  ["eth0", "eth1", true],
  ["eth0", "eth", true],
  ["eth0", "eth00", true],
  ["eth0", "ehh0", true],
  ["eth0", "eht0", true],
  ["bond0.100", "bond0.10", true],
  ["lan-node-1", "Lan-nod-2", true],
  ["eth0", "eth0", false],
  ["eth0", "ens5", false],
  ["eth0", "eth0.100", false],
  ["eth0", "0eth", false],
  ["", "eth0", false],
])("%j and %j are a near miss: %s", (a, b, want) => {
  expect([nearMisses(a, ["unlike", b]), nearMisses(b, [a])]).toEqual(want ? [[b], [a]] : [[], []]);
});

test.each([
  [[], ""],
  [["a", "b"], "a, b"],
  [["a", "b", "c", "d"], "a, b and 2 more"],
])("%j reads %j", (names, want) => {
  expect(listNames(names, 2)).toBe(want);
});
