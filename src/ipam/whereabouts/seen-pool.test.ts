import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { confirmSeen, forgetSeen, isFresh, readSeen, type SeenPlace, writeSeen } from "./seen-pool.ts";

const name = "10.0.0.0-24";
const store = "namespace kube-system of kubeconfig /etc/some where";
let folder: string;
let place: SeenPlace;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-seen-pool-"));
  place = { dataDir: folder, name, store };
});
afterEach(() => rmSync(folder, { recursive: true }));

const poolOf = (keys: readonly string[]) => ({
  name,
  range: "10.0.0.0/24",
  uid: "u",
  resourceVersion: "42",
  annotations: {},
  allocations: Object.fromEntries(keys.map((key) => [key, { id: "a", podref: "b/c", ifname: "net1" }])),
});

test("what was never read was not seen", () => {
  expect(readSeen(place)).toBeUndefined();
});

test("the keys of a map are read as they were written, whatever they are", () => {
  const key = fc.oneof(
    fc.integer({ min: 0, max: 300 }).map(String),
    fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String),
  );
  fc.assert(
    fc.property(fc.uniqueArray(key), (keys) => {
      writeSeen(place, poolOf(keys), "network", 1000);
      const seen = readSeen(place);
      expect(seen).toMatchObject({ resourceVersion: "42", scope: "network" });
      for (const each of keys) expect(seen?.keys).toContain(each);
      expect([...seen!.keys].filter((each) => each !== "")).toHaveLength(keys.length);
    }),
  );
});

test("what overlapping pools hold is kept from being tried as well", () => {
  writeSeen(place, { ...poolOf(["1"]), annotations: { "polynic.io/held-elsewhere": "3-4" } }, "network", 1000);
  expect(readSeen(place)?.keys).toEqual(new Set(["1", "3", "4"]));
});

test("a full pool takes little room", async () => {
  writeSeen(place, poolOf(Array.from({ length: 2000 }, (_, index) => String(index + 1))), "pool", 1000);
  expect((await Bun.file(join(folder, "seen", name)).text()).split(" ").slice(0, 4)).toEqual([
    "1000",
    "42",
    "pool",
    "1-2000",
  ]);
});

test("keys that are no numbers do no harm", () => {
  writeSeen(place, poolOf(["1", "a-b", "-3", "x", "2"]), "network", 1000);
  expect([...readSeen(place)!.keys].sort()).toEqual(["1", "2", "x"]);
});

test("another store's pool of that name was not seen, and what is to be forgotten neither", () => {
  writeSeen(place, poolOf(["1"]), "network", 1000);
  expect(readSeen({ ...place, store: "namespace other of kubeconfig /etc/some where" })).toBeUndefined();
  forgetSeen(place);
  expect(readSeen(place)).toBeUndefined();
});

test("a pool that is found to be as it was seen is as good as read then", () => {
  writeSeen(place, poolOf(["1", "2"]), "both", 1000);
  const seen = readSeen(place)!;
  confirmSeen(place, seen, 2000);
  expect(readSeen(place)).toEqual({ ...seen, askedAt: 2000 });
});

describe("a look is shared with a call that began", () => {
  test.each<[string, number, boolean, number, boolean]>([
    ["before it, however long it took", 500, true, 90_000, true],
    ["a moment after it", 1249, true, 1249, true],
    ["later, where entries decide", 1250, true, 1250, false],
    ["later, where they don't", 10_999, false, 10_999, true],
    ["long after it", 11_000, false, 11_000, false],
    ["before the clock was set back", 500, false, 999, false],
  ])("%s", (_, began, isDecisive, now, want) => {
    const seen = { askedAt: 1000, resourceVersion: "1", scope: "network", keys: new Set<string>() } as const;
    expect(isFresh(seen, isDecisive, began, now)).toBe(want);
  });
});

test("where nothing can be written nothing is seen", () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  writeSeen({ ...place, dataDir: file }, poolOf(["1"]), "network", 1000);
  expect(readSeen({ ...place, dataDir: file })).toBeUndefined();
});
