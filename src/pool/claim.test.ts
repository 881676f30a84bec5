import { expect, test } from "vitest";
import {
  allocationOf,
  claimFactsOf,
  claimMetadata,
  containerLabel,
  containerLabelValue,
  containerOfId,
  indexId,
  isHeldByEntry,
  isEnteredId,
  isIndexId,
  isReleasable,
  isSliceId,
  ownerAnnotation,
  releaseAfter,
  sliceId,
} from "./claim.ts";
import type { IpPool } from "./objects.ts";

const poolWith = (allocations: IpPool["allocations"]): IpPool => ({
  name: "10.0.0.0-24",
  uid: "u",
  resourceVersion: "1",
  annotations: {},
  range: "10.0.0.0/24",
  allocations,
});

test("an index entry tells by its id that it is one, and of which container", () => {
  expect(isIndexId(indexId("abc"))).toBe(true);
  expect(isIndexId("abc")).toBe(false);
  expect(containerOfId(indexId("abc"))).toBe("abc");
  expect([isIndexId(indexId("abc", "owner")), containerOfId(indexId("abc", "owner"))]).toEqual([true, "abc"]);
  expect([isEnteredId(indexId("abc", "owner")), isEnteredId(indexId("abc")), isEnteredId("abc:owner")]).toEqual([
    true,
    false,
    false,
  ]);
  expect(containerOfId("abc")).toBe("abc");
});

test("an entry of a node's slice is no index, and tells its container too", () => {
  expect([isIndexId(sliceId("abc")), isSliceId(sliceId("abc")), isSliceId(indexId("abc"))]).toEqual([
    false,
    true,
    false,
  ]);
  expect(containerOfId(sliceId("abc"))).toBe("abc");
});

test("an address is held by an entry that is no index, even by one that nobody can read", () => {
  const entry = { podref: "default/web", ifname: "net1" };
  const pool = poolWith({ "1": { id: "abc", ...entry }, "2": { id: indexId("def"), ...entry }, "3": 7, "4": {} });
  expect(["1", "2", "3", "4", "5", "constructor"].filter((key) => isHeldByEntry(pool, key))).toEqual(["1", "3", "4"]);
  expect(allocationOf(pool.allocations, "1")).toEqual({ id: "abc", ...entry });
  expect(allocationOf(pool.allocations, "toString")).toBeUndefined();
});

test.each([true, false])("a claim says what it was made with (entered by its node: %s)", (isEntered) => {
  const facts = {
    pool: "10.0.0.0-24",
    range: "10.0.0.0/24",
    address: "10.0.0.5",
    node: "node-1",
    podUid: "",
    ifName: "net1",
    isEntered,
  };
  const { labels, annotations } = claimMetadata(facts, "abc");
  expect(labels[containerLabel]).toBe("abc");
  expect(claimFactsOf({ annotations: { ...annotations, [ownerAnnotation]: "x" } })).toEqual(facts);
  // What no ADD of ours has made says nothing.
  expect(claimFactsOf({ annotations })).toBeUndefined();
});

test("a claim may be given back when it has waited long enough, and not before anybody said so", () => {
  const annotations = releaseAfter(new Date("2026-01-01T00:00:10Z"));
  expect(isReleasable({ annotations }, new Date("2026-01-01T00:00:09Z"))).toBe(false);
  expect(isReleasable({ annotations }, new Date("2026-01-01T00:00:10Z"))).toBe(true);
  expect(isReleasable({ annotations: {} }, new Date())).toBe(false);
});

test.each([
  ["abc", "abc"],
  ["a".repeat(64), "a".repeat(63)],
  [`${"a".repeat(60)}..-b`, "a".repeat(60)],
])("the label of container %j is %j", (id, want) => {
  expect(containerLabelValue(id)).toBe(want);
});
