import { expect, test } from "vitest";
import { isNearMiss } from "./master.ts";

test.each([
  ["eth0", "Eth0", true],
  ["eth0", "eth1", true],
  ["eth0", "eth", true],
  ["eth0", "eth00", true],
  ["eth0", "ehh0", true],
  ["eth0", "eht0", true],
  ["bond0.100", "bond0.10", true],
  ["eth0", "ens5", false],
  ["eth0", "eth0.100", false],
  ["eth0", "0eth", false],
  ["", "eth0", false],
])("%j and %j are a near miss: %s", (a, b, want) => {
  expect([isNearMiss(a, b), isNearMiss(b, a)]).toEqual([want, want]);
});
