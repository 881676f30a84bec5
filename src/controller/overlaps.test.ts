import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatPrefix, networkOf, overlaps } from "../ip/prefix.ts";
import { poolName } from "../pool/names.ts";
import type { IpPool, Reservation } from "../pool/objects.ts";
import { Overlaps } from "./overlaps.ts";

const go = (podref: string) => ({ id: "go", podref, ifname: "net1" });

const poolOf = (name: string, range: string, allocations: IpPool["allocations"] = {}): IpPool => ({
  name,
  range,
  uid: name,
  resourceVersion: "1",
  annotations: {},
  allocations,
});

const reservationOf = (name: string, podref: string): Reservation => ({
  name,
  uid: name,
  resourceVersion: "1",
  labels: {},
  annotations: {},
  finalizers: [],
  createdAt: "",
  isTerminating: false,
  podref,
  containerId: "",
  ifName: "net1",
});

const mapOf = (...pools: readonly IpPool[]) => new Map(pools.map((pool) => [pool.name, pool]));

test("a pool's neighbours are the pools of its network that share addresses with it", () => {
  const range = fc.tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 26, max: 32 })).map(([last, bits]) => {
    return networkOf({ ip: { family: 4, value: 0x0a00_0000n + BigInt(last * 4) }, bits });
  });
  const one = fc.record({ range, network: fc.constantFrom("", "blue") });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 12 }), (several) => {
      const places = new Map(several.map((each) => [poolName(each), each]));
      const pools = [...places].map(([name, place]) => poolOf(name, formatPrefix(place.range)));
      const known = new Overlaps(mapOf(...pools));
      for (const [name, place] of places) {
        const want = [...places].filter(
          ([other, { range: its, network }]) =>
            other !== name && network === place.network && overlaps(its, place.range),
        );
        expect([...known.neighboursOf(name)].toSorted()).toEqual(want.map(([other]) => other).toSorted());
      }
    }),
  );
});

test("an entry of Go counts in other pools as long as its holder has no reservation", () => {
  const narrow = poolOf("10.0.1.0-24", "10.0.1.0/24");
  const entries = { "266": go("default/ten"), "258": go("default/two"), "5": go("default/outside") };
  const pools = mapOf(narrow, poolOf("10.0.0.0-16", "10.0.0.0/16", entries));
  const known = new Overlaps(pools);
  expect(known.unreserved(narrow)).toEqual(["2", "10"]);
  known.reserved(reservationOf("10.0.1.2", "default/two"));
  // Another pod's reservation does not protect this one: it may be gone any moment.
  known.reserved(reservationOf("10.0.1.10", "default/other"));
  expect(known.unreserved(narrow)).toEqual(["10"]);
  known.released(reservationOf("10.0.1.2", "default/two"));
  pools.set("10.0.0.0-16", poolOf("10.0.0.0-16", "10.0.0.0/16", { "258": go("default/two") }));
  expect(known.unreserved(narrow)).toEqual(["2"]);
  pools.delete("10.0.0.0-16");
  known.poolsChanged();
  expect([known.unreserved(narrow), known.neighboursOf(narrow.name)]).toEqual([[], []]);
});

test("a reservation concerns the pools that overlap another one and have its address", () => {
  const known = new Overlaps(
    mapOf(
      poolOf("10.0.0.0-16", "10.0.0.0/16"),
      poolOf("10.0.1.0-24", "10.0.1.0/24"),
      poolOf("10.0.2.0-24", "10.0.2.0/24"),
      poolOf("10.9.0.0-24", "10.9.0.0/24"),
    ),
  );
  expect(known.poolsOf(reservationOf("10.0.1.7", "default/a")).toSorted()).toEqual(["10.0.0.0-16", "10.0.1.0-24"]);
  expect(known.poolsOf(reservationOf("10.9.0.7", "default/a"))).toEqual([]);
  expect(known.poolsOf(reservationOf("no-address", "default/a"))).toEqual([]);
});
