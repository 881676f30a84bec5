import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readSeen, writeSeen } from "./seen-pool.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-seen-pool-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const name = "10.0.0.0-24";
const poolOf = (keys: readonly string[]) => ({
  name,
  range: "10.0.0.0/24",
  uid: "u",
  resourceVersion: "42",
  annotations: {},
  allocations: Object.fromEntries(keys.map((key) => [key, { id: "a", podref: "b/c", ifname: "net1" }])),
});

test("what was never read was not seen", () => {
  expect(readSeen(folder, name)).toBeUndefined();
});

test("the keys of a map are read as they were written, whatever they are", () => {
  const key = fc.oneof(
    fc.integer({ min: 0, max: 300 }).map(String),
    fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String),
  );
  fc.assert(
    fc.property(fc.uniqueArray(key), (keys) => {
      writeSeen(folder, poolOf(keys), "network");
      const seen = readSeen(folder, name);
      expect(seen).toMatchObject({ resourceVersion: "42", scope: "network" });
      for (const each of keys) expect(seen?.keys).toContain(each);
      expect([...seen!.keys].filter((each) => each !== "")).toHaveLength(keys.length);
    }),
  );
});

test("what overlapping pools hold is kept from being tried as well", () => {
  writeSeen(folder, { ...poolOf(["1"]), annotations: { "polynic.io/held-elsewhere": "3-4" } }, "network");
  expect(readSeen(folder, name)?.keys).toEqual(new Set(["1", "3", "4"]));
});

test("a full pool takes little room", async () => {
  writeSeen(folder, poolOf(Array.from({ length: 2000 }, (_, index) => String(index + 1))), "pool");
  expect((await Bun.file(join(folder, "seen", name)).text()).split(" ").slice(1)).toEqual(["42", "pool", "1-2000"]);
});

test("keys that are no numbers do no harm", () => {
  writeSeen(folder, poolOf(["1", "a-b", "-3", "x", "2"]), "network");
  expect([...readSeen(folder, name)!.keys].sort()).toEqual(["1", "2", "x"]);
});

test("how old a look is can be told, and where nothing can be written nothing is seen", () => {
  writeSeen(folder, poolOf(["1"]), "network");
  expect(readSeen(folder, name, Date.now() + 60_000)?.ageMs).toBeGreaterThanOrEqual(60_000);
  writeFileSync(join(folder, "file"), "");
  writeSeen(join(folder, "file"), poolOf(["1"]), "network");
  expect(readSeen(join(folder, "file"), name)).toBeUndefined();
});
