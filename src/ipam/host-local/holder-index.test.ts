import * as fc from "fast-check";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import * as file from "../../libc/file.ts";
import { a, b, LeaseFolder } from "./lease-folder.test-data.ts";

const leases = new LeaseFolder();
beforeEach(() => leases.clear());
afterAll(() => leases[Symbol.dispose]());

const sealAgeNs = 10n ** 18n;

const isSealed = () =>
  file.status(leases.directory).modifiedNs - sealAgeNs ===
  file.statusIfExists(join(leases.directory, ".polynic"))?.modifiedNs;

test("after each use the index is sealed, and any change by others breaks the seal", () => {
  leases.take(a, "192.0.2.5");
  expect(isSealed()).toBe(true);
  leases.goLease("192.0.2.6", "b\r\neth0");
  expect(isSealed()).toBe(false);
  expect(leases.namesOf(b)).toEqual(["192.0.2.6"]);
  expect(isSealed()).toBe(true);
  unlinkSync(join(leases.directory, "192.0.2.6"));
  expect(isSealed()).toBe(false);
});

test("while the seal holds, no lease is read to find out that a container has none", () => {
  leases.take(a, "192.0.2.5");
  // The content changes without the folder's knowledge: only somebody who reads the file can notice.
  writeFileSync(join(leases.directory, "192.0.2.5"), "b\r\neth0");
  expect(leases.namesOf(b)).toEqual([]);
});

interface Interference {
  readonly name: string;
  readonly by: () => void;
  readonly a: string[];
  readonly b: string[];
}

test.each<Interference>([
  {
    name: "the Go plugin leases another address",
    by: () => leases.goLease("192.0.2.9", "b\r\neth0"),
    a: ["192.0.2.5"],
    b: ["192.0.2.9"],
  },
  { name: "the Go plugin gives back", by: () => leases.goRelease("a\r\neth0"), a: [], b: [] },
  {
    name: "the Go plugin gives back and leases the same address",
    by: () => {
      leases.goRelease("a\r\neth0");
      leases.goLease("192.0.2.5", "b\r\neth0");
    },
    a: [],
    b: ["192.0.2.5"],
  },
  { name: "a person removes the lease", by: () => unlinkSync(join(leases.directory, "192.0.2.5")), a: [], b: [] },
  {
    name: "a person replaces the lease",
    by: () => {
      leases.goLease("other", "b\r\neth0");
      renameSync(join(leases.directory, "other"), join(leases.directory, "192.0.2.5"));
    },
    a: [],
    b: ["192.0.2.5"],
  },
  {
    name: "a person removes the lease, and the Go plugin leases its address",
    by: () => {
      unlinkSync(join(leases.directory, "192.0.2.5"));
      leases.goLease("192.0.2.5", "b\r\neth0");
    },
    a: [],
    b: ["192.0.2.5"],
  },
  {
    name: "the folder is emptied by hand",
    by: () => {
      for (const name of leases.listing()) unlinkSync(join(leases.directory, name));
    },
    a: [],
    b: [],
  },
  { name: "the folder is removed", by: () => rmSync(leases.directory, { recursive: true }), a: [], b: [] },
  {
    name: "the index is removed",
    by: () => rmSync(join(leases.directory, ".polynic"), { recursive: true }),
    a: ["192.0.2.5"],
    b: [],
  },
  {
    name: "a part of the index is removed",
    by: () => {
      for (const name of readdirSync(join(leases.directory, ".polynic")))
        rmSync(join(leases.directory, ".polynic", name), { recursive: true });
    },
    a: ["192.0.2.5"],
    b: [],
  },
  {
    name: "strange names appear",
    by: () => {
      mkdirSync(join(leases.directory, "192.0.2.77"));
      leases.goLease("notes.txt", "b\r\neth0");
    },
    a: ["192.0.2.5"],
    b: [],
  },
])("when $name, what is found is what is there", ({ by, a: wantA, b: wantB }) => {
  leases.take(a, "192.0.2.5");
  by();
  expect(leases.namesOf(b)).toEqual(wantB);
  expect(leases.namesOf(a)).toEqual(wantA);
  expect(leases.entries()).toEqual([...wantA, ...wantB].sort());
  leases.release(a);
  leases.release(b);
  expect(leases.listing().filter((name) => name === "192.0.2.5" || name === "192.0.2.9")).toEqual([]);
});

/** What kill -9 leaves behind at each step of taking an address. */
test.each<[string, () => void]>([
  ["the entry without content", () => writeFileSync(stagedPath(), "")],
  ["the entry with its content", () => writeFileSync(stagedPath(), "a\r\neth0")],
  [
    "the lease and the entry without address",
    () => {
      writeFileSync(stagedPath(), "a\r\neth0");
      file.link(stagedPath(), join(leases.directory, "192.0.2.5"));
    },
  ],
  [
    "lease and entry, not sealed",
    () => {
      writeFileSync(stagedPath(), "a\r\neth0");
      file.link(stagedPath(), join(leases.directory, "192.0.2.5"));
      file.rename(stagedPath(), stagedPath().replace(/new$/, "192.0.2.5"));
    },
  ],
  [
    "the entry when giving back",
    () => {
      writeFileSync(stagedPath().replace(/new$/, "192.0.2.5"), "a\r\neth0");
    },
  ],
])("a crash that leaves %s is cleaned up by DEL and does not stop an ADD", (_, crash) => {
  for (const isAddFirst of [false, true]) {
    leases.clear();
    leases.take(a, "192.0.2.9");
    leases.release(a);
    crash();
    if (isAddFirst) leases.take(a, "192.0.2.6");
    if (isAddFirst) expect(readFileSync(join(leases.directory, "192.0.2.6"), "utf8")).toBe("a\r\neth0");
    leases.release(a);
    expect(leases.listing()).toEqual(["lock"]);
    expect(leases.entries()).toEqual([]);
  }
});

/** The entry that holder `a` begins with; found by making one. */
function stagedPath(): string {
  const hash = new Bun.CryptoHasher("sha256").update("a\r\neth0").digest("hex").slice(0, 32);
  return join(leases.directory, ".polynic", hash.slice(0, 1), `${hash}@new`);
}

test("two changes within one tick of the clock are no seal", () => {
  mkdirSync(join(leases.directory, ".polynic"), { recursive: true });
  leases.goLease("192.0.2.5", "a\r\neth0");
  for (const path of [leases.directory, join(leases.directory, ".polynic")])
    file.setModified(path, 1_700_000_000_000_000_000n);
  expect(leases.namesOf(a)).toEqual(["192.0.2.5"]);
});

test("leases that can't get an entry are read each time, and found", () => {
  mkdirSync(leases.directory);
  writeFileSync(join(leases.directory, ".polynic"), "in the way");
  leases.goLease("192.0.2.5", "a\r\neth0");
  expect(leases.namesOf(a)).toEqual(["192.0.2.5"]);
  expect(leases.namesOf(b)).toEqual([]);
  expect(() => leases.take(b, "192.0.2.6")).toThrow("not a directory");
  leases.release(a);
  expect(leases.listing()).toEqual(["lock"]);
});

type Move = readonly [kind: "ours" | "go", verb: "add" | "del", holder: number, host: number];

const anyMove: fc.Arbitrary<Move> = fc.tuple(
  fc.constantFrom("ours" as const, "go" as const),
  fc.constantFrom("add" as const, "del" as const),
  fc.nat(4),
  fc.nat(5),
);

test("whoever of the two works on the folder, in any order, both see the same leases", () => {
  fc.assert(
    fc.property(fc.array(anyMove, { maxLength: 25 }), (moves) => {
      leases.clear();
      leases.inStore(() => {});
      const model = new Map<string, number>();
      for (const [kind, verb, number, host] of moves) {
        const holder = { containerId: `c${number}`, ifName: "eth0" };
        const name = `192.0.2.${host}`;
        if (verb === "add" && kind === "ours") expect(leases.take(holder, name)).toBe(!model.has(name));
        if (verb === "add" && kind === "go" && !model.has(name)) leases.goLease(name, `c${number}\r\neth0`);
        if (verb === "add" && !model.has(name)) model.set(name, number);
        if (verb === "del" && kind === "ours") leases.release(holder);
        if (verb === "del" && kind === "go") leases.goRelease(`c${number}\r\neth0`);
        if (verb === "del") for (const [each, owner] of model) if (owner === number) model.delete(each);
      }
      expect(leases.listing().filter((name) => name !== "lock")).toEqual([...model.keys()].sort());
      for (let number = 0; number <= 4; number++) {
        const want = [...model].flatMap(([name, owner]) => (owner === number ? [name] : [])).sort();
        expect(leases.namesOf({ containerId: `c${number}`, ifName: "eth0" })).toEqual(want);
      }
      expect(leases.entries()).toEqual([...model.keys()].sort());
    }),
    { numRuns: 60 },
  );
});
