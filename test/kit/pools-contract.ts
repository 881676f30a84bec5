// What every adapter of the pools' port has to do. A test file calls `poolsContract` with its adapter's factory.
import { beforeAll, describe, expect, test } from "vitest";
import type { NewReservation, Pools } from "../../src/cluster/pools/port.ts";
import { containerLabel, holdFinalizer, ownerAnnotation } from "../../src/pool/claim.ts";
import { eventually } from "./ipam-world.ts";

/** As many as try for one name at once. */
const contenders = 20;

let count = 0;

/** `connect` gives a fresh adapter, as a new process would make it; all of them work on the same objects. */
export function poolsContract(label: string, connect: () => Promise<Pools>): void {
  describe(`pools of ${label}`, () => {
    let pools: Pools;

    beforeAll(async () => {
      pools = await connect();
    });

    const claim = (over: Partial<NewReservation> = {}): NewReservation => ({
      name: `10.9.${count >> 8}.${count++ & 255}`,
      owner: crypto.randomUUID(),
      labels: { [containerLabel]: "abc" },
      annotations: { "polynic.io/node": "node-1" },
      finalizers: [],
      podref: "default/web",
      containerId: "abc",
      ifName: "net1",
      ...over,
    });

    const poolOf = async (): Promise<string> => {
      const name = `pool-${count++}`;
      await pools.createPool(name, "10.0.0.0/24", {});
      return name;
    };

    const entry = (id: string) => ({ id, podref: "default/web", ifname: "net1" });

    test("what is not there is undefined, whatever its name", async () => {
      expect(await pools.getPool("10.1.0.0-24")).toBeUndefined();
      expect(await pools.getReservation("10.1.0.1")).toBeUndefined();
      expect(await pools.getNodeSlicePool("none")).toBeUndefined();
    });

    test("a pool is made empty, and made again is the one that is there", async () => {
      const name = await poolOf();
      expect(await pools.patchPool(name, [{ op: "add", key: "1", entry: entry("a") }])).toBe(true);
      const again = await pools.createPool(name, "10.0.0.0/24", { "example.com/a": "late" });
      expect(again).toEqual(await pools.getPool(name));
      expect(again).toMatchObject({ name, range: "10.0.0.0/24", allocations: { "1": entry("a") } });
    });

    test("what may be a moment old is there sooner or later", async () => {
      const name = await poolOf();
      await pools.patchPool(name, [{ op: "add", key: "1", entry: entry("a") }]);
      const { resourceVersion } = (await pools.getPool(name))!;
      const isRecent = async () => (await pools.getPool(name, "recent"))?.resourceVersion === resourceVersion;
      expect(await eventually(isRecent, true)).toBe(true);
      expect((await pools.getPool(name, "recent"))?.allocations).toEqual({ "1": entry("a") });
    });

    test("a pool that was written is not unchanged, nor is one that is gone", async () => {
      const name = await poolOf();
      const { resourceVersion } = (await pools.getPool(name))!;
      await pools.patchPool(name, [{ op: "add", key: "1", entry: entry("a") }]);
      expect(await eventually(() => pools.isPoolUnchanged(name, resourceVersion), false)).toBe(false);
      const { resourceVersion: current } = (await pools.getPool(name))!;
      const isKnown = !pools.hasCheapNames;
      expect(await eventually(() => pools.isPoolUnchanged(name, current), isKnown)).toBe(isKnown);
      expect(await pools.isPoolUnchanged("pool-none", resourceVersion)).toBe(false);
    });

    test("pools are listed with their entries", async () => {
      const name = await poolOf();
      await pools.patchPool(name, [{ op: "add", key: "7", entry: entry("a") }]);
      expect(await pools.listPools()).toContainEqual(await pools.getPool(name));
      expect(await pools.poolNames()).toContain(name);
    });

    test("a pool has the annotations that it is made with", async () => {
      const made = await pools.createPool(`pool-${count++}`, "10.0.0.0/24", { "example.com/a": "1" });
      expect(made.annotations).toEqual({ "example.com/a": "1" });
    });

    test("annotations are added to a pool that has none of their names yet, once, and to no other pool", async () => {
      const name = await poolOf();
      const read = (await pools.getPool(name))!;
      const tries = await Promise.all(
        ["1", "2", "3"].map((value) => pools.annotatePool(read, { "example.com/a": value })),
      );
      expect(tries.filter(Boolean)).toHaveLength(1);
      const winner = { "example.com/a": String(tries.indexOf(true) + 1) };
      const now = (await pools.getPool(name))!;
      expect(now.annotations).toEqual(winner);
      expect(await pools.annotatePool(now, { "example.com/b": "1", "example.com/a": "9" })).toBe(false);
      expect(await pools.annotatePool(now, { "example.com/b": "1" })).toBe(true);
      expect((await pools.getPool(name))?.annotations).toEqual({ ...winner, "example.com/b": "1" });
      expect(await pools.annotatePool({ ...now, uid: "other" }, { "example.com/c": "1" })).toBe(false);
      expect(await pools.annotatePool({ ...now, name: "pool-none" }, { "example.com/c": "1" })).toBe(false);
    });

    test("the changes of a patch happen together or not at all", async () => {
      const name = await poolOf();
      const change = (...changes: Parameters<Pools["patchPool"]>[1]) => pools.patchPool(name, changes);
      expect(await change({ op: "add", key: "1", entry: entry("a") }, { op: "add", key: "2", entry: entry("b") })).toBe(
        true,
      );
      expect(await change({ op: "add", key: "3", entry: entry("c") }, { op: "add", key: "2", entry: entry("x") })).toBe(
        false,
      );
      expect(await change({ op: "remove", key: "1", id: "x" })).toBe(false);
      expect(await change({ op: "remove", key: "9", id: "x" })).toBe(false);
      expect(await change({ op: "replace", key: "2", id: "x", entry: entry("y") })).toBe(false);
      expect(
        await change({ op: "remove", key: "1", id: "a" }, { op: "replace", key: "2", id: "b", entry: entry("c") }),
      ).toBe(true);
      expect((await pools.getPool(name))?.allocations).toEqual({ "2": entry("c") });
    });

    test("a pool that is not there can't be patched", async () => {
      await expect(pools.patchPool("pool-none", [{ op: "remove", key: "1", id: "a" }])).rejects.toMatchObject({
        code: "not-found",
      });
    });

    test("a reservation has what it was made with", async () => {
      const wanted = claim();
      const uid = await pools.createReservation(wanted);
      expect(await pools.getReservation(wanted.name)).toMatchObject({
        name: wanted.name,
        uid,
        podref: "default/web",
        containerId: "abc",
        ifName: "net1",
        labels: wanted.labels,
        annotations: { ...wanted.annotations, [ownerAnnotation]: wanted.owner },
        isTerminating: false,
      });
      expect(await pools.reservationNames()).toContain(wanted.name);
    });

    test("of all who try for one name at once exactly one gets it", async () => {
      const { name } = claim();
      const tries = Array.from({ length: contenders }, async () =>
        (await connect()).createReservation(claim({ name })),
      );
      const won = (await Promise.all(tries)).filter((uid) => uid !== undefined);
      expect(won).toHaveLength(1);
      expect((await pools.getReservation(name))?.uid).toBe(won[0]);
    });

    test("a reservation is found again by its owner's text, and only by that", async () => {
      const wanted = claim();
      const uid = await pools.createReservation(wanted);
      expect(await pools.ownedReservation(wanted.name, wanted.owner)).toBe(uid);
      expect(await pools.ownedReservation(wanted.name, crypto.randomUUID())).toBeUndefined();
      expect(await pools.ownedReservation("10.1.0.1", wanted.owner)).toBeUndefined();
    });

    test("only the reservation of the uid that is named is deleted", async () => {
      const { name } = claim();
      const first = await pools.createReservation(claim({ name }));
      expect(await pools.deleteReservation(name, crypto.randomUUID(), false)).toBe(false);
      expect(await pools.deleteReservation(name, first!, false)).toBe(true);
      expect(await pools.deleteReservation(name, first!, false)).toBe(false);
      const second = await pools.createReservation(claim({ name }));
      expect(await pools.deleteReservation(name, first!, false)).toBe(false);
      expect((await pools.getReservation(name))?.uid).toBe(second);
    });

    test("a reservation with our finalizer is deleted with it, and only by its uid", async () => {
      const { name } = claim();
      const uid = await pools.createReservation(claim({ name, finalizers: [holdFinalizer] }));
      await pools.deleteReservation(name, crypto.randomUUID(), true);
      expect((await pools.getReservation(name))?.uid).toBe(uid);
      expect(await pools.deleteReservation(name, uid!, true)).toBe(true);
      expect(await pools.getReservation(name)).toBeUndefined();
    });

    test("annotations are added to the reservation of that uid", async () => {
      const wanted = claim();
      const uid = await pools.createReservation(wanted);
      expect(await pools.annotateReservation(wanted.name, crypto.randomUUID(), { "example.com/a": "1" })).toBe(false);
      expect(await pools.annotateReservation(wanted.name, uid!, { "example.com/a": "1" })).toBe(true);
      expect(await pools.annotateReservation("10.1.0.1", uid!, { "example.com/a": "1" })).toBe(false);
      expect((await pools.getReservation(wanted.name))?.annotations).toEqual({
        ...wanted.annotations,
        [ownerAnnotation]: wanted.owner,
        "example.com/a": "1",
      });
    });

    test("reservations are found by a label", async () => {
      const wanted = claim({ labels: { [containerLabel]: "only-this" } });
      await pools.createReservation(wanted);
      const found = await pools.listReservations({ label: [containerLabel, "only-this"] });
      expect(found.map(({ name }) => name)).toEqual([wanted.name]);
      expect((await pools.listReservations()).length).toBeGreaterThan(1);
    });
  });
}
