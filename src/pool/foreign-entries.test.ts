import { describe, expect, test } from "vitest";
import { formatIp } from "../ip/address.ts";
import { claimScope, indexId, sliceId } from "./claim.ts";
import { foreignEntries, goEntries } from "./foreign-entries.ts";
import type { IpPool } from "./objects.ts";

const poolOf = (name: string, range: string, ids: Readonly<Record<string, string>> = {}): IpPool => ({
  name,
  range,
  uid: name,
  resourceVersion: "1",
  annotations: {},
  allocations: Object.fromEntries(
    Object.entries(ids).map(([key, id]) => [key, { id, podref: `default/${id}`, ifname: "net1" }]),
  ),
});

test("what Go has entered is held; what shows a claim, or an address of a node's slice, is not Go's", () => {
  const pool = poolOf("10.0.0.0-24", "10.0.0.0/24", { "1": "go", "2": indexId("a"), "3": sliceId("b"), x: "go" });
  expect(goEntries(pool).map(({ ip, podref }) => [formatIp(ip), podref])).toEqual([["10.0.0.1", "default/go"]]);
});

test("a pool whose overlaps are not checked holds its addresses for itself alone", () => {
  const pool = poolOf("10.0.0.0-24", "10.0.0.0/24", { "1": "go" });
  expect(goEntries({ ...pool, annotations: claimScope("pool") })).toEqual([]);
  expect(goEntries({ ...pool, annotations: claimScope("both") })).toHaveLength(1);
});

describe("an entry of another pool", () => {
  const wide = poolOf("10.0.0.0-16", "10.0.0.0/16", { "256": "low", "261": "five", "512": "high" });
  const rows = [
    { title: "counts for the addresses that a narrower pool has", pool: poolOf("10.0.1.0-24", "10.0.1.0/24") },
    {
      title: "counts for a wider pool",
      pool: poolOf("10.0.0.0-8", "10.0.0.0/8"),
      want: ["256 10.0.1.0", "261 10.0.1.5", "512 10.0.2.0"],
    },
    { title: "is no other one's in the pool itself", pool: wide, want: [] },
    { title: "of another network counts for nothing", pool: poolOf("blue-10.0.1.0-24", "10.0.1.0/24"), want: [] },
    { title: "that shares no address counts for nothing", pool: poolOf("10.1.0.0-16", "10.1.0.0/16"), want: [] },
    { title: "counts for no pool that has host bits", pool: poolOf("10.0.1.5-24", "10.0.1.5/24"), want: [] },
    { title: "counts for no pool of another name than its range", pool: poolOf("mine", "10.0.1.0/24"), want: [] },
  ];
  test.each(rows)("$title", ({ pool, want = ["0 10.0.1.0", "5 10.0.1.5"] }) => {
    expect(foreignEntries(pool, [wide, pool]).map(({ key, reservation }) => `${key} ${reservation}`)).toEqual(want);
  });

  test("is reserved under the network's name", () => {
    const other = poolOf("blue-fd00---64", "fd00::/64", { "5": "go" });
    expect(foreignEntries(poolOf("blue-fd00---112", "fd00::/112"), [other])).toEqual([
      { key: "5", reservation: "blue-fd00--5", podref: "default/go" },
    ]);
  });
});
