import { expect, test } from "vitest";
import { claimMetadata, indexId, ownerAnnotation } from "../pool/claim.ts";
import type { IpPool, Reservation } from "../pool/objects.ts";
import { planIndex, type Unsettled } from "./index-plan.ts";

const poolOf = (...keys: readonly string[]): IpPool => ({
  name: "10.0.0.0-24",
  range: "10.0.0.0/24",
  uid: "u",
  resourceVersion: "1",
  annotations: {},
  allocations: Object.fromEntries(keys.map((key) => [key, entryOf(key)])),
});

function entryOf(key: string) {
  return { id: indexId(`c-${key}`), podref: "shop/web", ifname: "net1" };
}

function claimOf(key: string, isEntered: boolean): Reservation {
  const facts = {
    pool: "10.0.0.0-24",
    range: "10.0.0.0/24",
    address: `10.0.0.${key}`,
    node: "node-1",
    podUid: "",
    ifName: "net1",
    isEntered,
  };
  const { labels, annotations } = claimMetadata(facts, `c-${key}`);
  return {
    name: facts.address,
    uid: key,
    resourceVersion: "1",
    labels,
    annotations: { ...annotations, [ownerAnnotation]: "me" },
    finalizers: [],
    createdAt: "",
    isTerminating: false,
    podref: "shop/web",
    containerId: `c-${key}`,
    ifName: "net1",
  };
}

const never = (): boolean => false;

test("a claim that is not shown gets its entry at once, unless its node writes that itself", () => {
  const { changes, unsettled, held } = planIndex(poolOf(), [claimOf("1", false), claimOf("2", true)], never);
  expect(changes).toEqual([{ op: "add", key: "1", entry: entryOf("1") }]);
  expect(unsettled).toMatchObject([{ lacks: "entry", key: "2", claim: { name: "10.0.0.2" } }]);
  expect(held).toBe(1);
});

test("an entry that its node should have written by now is written", () => {
  const { changes, unsettled } = planIndex(poolOf(), [claimOf("2", true)]);
  const entry = { ...entryOf("2"), id: indexId("c-2", "me") };
  expect([changes, unsettled]).toEqual([[{ op: "add", key: "2", entry }], []]);
});

test("an entry is taken out once its claim has been missing for long enough", () => {
  const asked: Unsettled[] = [];
  const settled = (open: Unsettled): boolean => asked.push(open) > 0 && open.key === "3";
  const { changes, unsettled, held } = planIndex(poolOf("1", "2", "3"), [claimOf("1", false)], settled);
  expect(changes).toEqual([{ op: "remove", key: "3", id: indexId("c-3") }]);
  expect(unsettled).toEqual([{ lacks: "claim", key: "2", id: indexId("c-2") }]);
  expect([asked.length, held]).toEqual([2, 2]);
});
