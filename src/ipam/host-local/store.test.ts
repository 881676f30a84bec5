import * as fc from "fast-check";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { formatIp, parseIp } from "../../ip/address.ts";
import * as file from "../../libc/file.ts";
import { LeaseStore } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-leases-"));
const directory = join(folder, "pool");
const a = { containerId: "a", ifName: "eth0" };
const b = { containerId: "b", ifName: "eth0" };

beforeEach(() => rmSync(directory, { recursive: true, force: true }));
afterAll(() => rmSync(folder, { recursive: true }));

const ip = (text: string) => parseIp(text)!;
const open = () => LeaseStore.open(folder, "pool");

/** Runs `work` with the store, as one call of the plugin does. */
function inStore<T>(work: (store: LeaseStore) => T): T {
  using store = open();
  return work(store);
}

const take = (holder: typeof a, text: string) => inStore((store) => store.take(holder, ip(text)) !== undefined);
const namesOf = (holder: typeof a) =>
  inStore((store) =>
    store
      .leasesOf(holder)
      .map(({ name }) => name)
      .sort(),
  );

function release(holder: typeof a): void {
  using store = LeaseStore.openIfExists(folder, "pool");
  for (const lease of store?.leasesOf(holder) ?? []) store?.release(lease);
}

/** What a person sees in the network's folder. */
const listing = () =>
  readdirSync(directory)
    .filter((name) => !name.startsWith("."))
    .sort();

/** The entries of the index, `new` and addresses alike. */
const entries = () =>
  readdirSync(join(directory, ".polynic"), { recursive: true })
    .map(String)
    .flatMap((path) => path.split("@")[1] ?? [])
    .sort();

/** A lease as the Go plugin makes it. */
const goLease = (name: string, content: string) => writeFileSync(join(directory, name), content, { mode: 0o600 });

/** DEL of the Go plugin: every file below the folder that holds the text goes. */
function goRelease(text: string): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && readFileSync(path, "utf8").trim() === text) unlinkSync(path);
  }
}

const isSealed = () =>
  file.status(directory).modifiedNs === file.statusIfExists(join(directory, ".polynic"))?.modifiedNs;

test("files, contents and modes are those of the Go plugin", () => {
  inStore((store) => {
    store.take(a, ip("192.0.2.5"));
    store.take(a, ip("2001:DB8::5"));
    store.rememberLast(1, ip("2001:db8::5"));
  });
  expect(listing()).toEqual(["192.0.2.5", "2001:db8::5", "last_reserved_ip.1", "lock"]);
  expect(readFileSync(join(directory, "192.0.2.5"), "utf8")).toBe("a\r\neth0");
  expect(readFileSync(join(directory, "last_reserved_ip.1"), "utf8")).toBe("2001:db8::5");
  const modes = ["", "192.0.2.5", "lock", "last_reserved_ip.1"].map(
    (name) => statSync(join(directory, name)).mode & 0o777,
  );
  expect(modes).toEqual([0o755, 0o600, 0o750, 0o600]);
});

test("an address is leased once, and again after it was given back", () => {
  expect(take(a, "192.0.2.5")).toBe(true);
  expect(take(b, "192.0.2.5")).toBe(false);
  expect(entries()).toEqual(["192.0.2.5"]);
  release(a);
  expect(take(b, "192.0.2.5")).toBe(true);
  expect(namesOf(a)).toEqual([]);
  expect(namesOf(b)).toEqual(["192.0.2.5"]);
});

test("a holder is a container and an interface together", () => {
  take(a, "192.0.2.5");
  take({ ...a, ifName: "net1" }, "192.0.2.6");
  take(a, "2001:db8::5");
  expect(namesOf(a)).toEqual(["192.0.2.5", "2001:db8::5"]);
  release(a);
  expect(listing()).toEqual(["192.0.2.6", "lock"]);
});

test("leases of old versions, with the container alone, are found when there are no others", () => {
  inStore(() => {});
  goLease("192.0.2.7", "a\n");
  expect(namesOf(a)).toEqual(["192.0.2.7"]);
  take(a, "192.0.2.5");
  expect(namesOf(a)).toEqual(["192.0.2.5"]);
  release(a);
  release(a);
  expect(listing()).toEqual(["lock"]);
});

test("white space around the content does not count", () => {
  inStore(() => {});
  goLease("192.0.2.7", " \r\n\ta\r\neth0  \n");
  expect(namesOf(a)).toEqual(["192.0.2.7"]);
  release(a);
  expect(listing()).toEqual(["lock"]);
});

test("a network without a folder has no leases, and looking does not make one", () => {
  expect(LeaseStore.openIfExists(folder, "pool")).toBeUndefined();
  expect(existsSync(directory)).toBe(false);
});

test("nobody else gets in while the store is open", () => {
  using store = open();
  using other = file.open(join(directory, "lock"), file.O_RDONLY);
  expect(() => file.flock(other, file.LOCK_EX | file.LOCK_NB)).toThrow("resource temporarily unavailable");
  expect(store.names()).toEqual([]);
});

test("the last address of a set is remembered; a torn one is forgotten", () => {
  inStore((store) => {
    expect(store.lastReserved(0)).toBeUndefined();
    store.rememberLast(0, ip("192.0.2.5"));
    expect(store.lastReserved(0)).toEqual(ip("192.0.2.5"));
    expect(store.lastReserved(1)).toBeUndefined();
    writeFileSync(join(directory, "last_reserved_ip.0"), "192.0.");
    expect(store.lastReserved(0)).toBeUndefined();
  });
});

test("a crowded range is walked by names, and the same addresses are refused", () => {
  inStore((store) => {
    for (let host = 1; host <= 60; host++) expect(store.take(a, ip(`192.0.2.${host}`))).toBeDefined();
    for (let host = 1; host <= 60; host++) expect(store.take(b, ip(`192.0.2.${host}`))).toBeUndefined();
    expect(store.take(b, ip("192.0.2.61"))).toEqual({ name: "192.0.2.61", text: "b\r\neth0" });
  });
});

test("after each use the index is sealed, and any change by others breaks the seal", () => {
  take(a, "192.0.2.5");
  expect(isSealed()).toBe(true);
  goLease("192.0.2.6", "b\r\neth0");
  expect(isSealed()).toBe(false);
  expect(namesOf(b)).toEqual(["192.0.2.6"]);
  expect(isSealed()).toBe(true);
  unlinkSync(join(directory, "192.0.2.6"));
  expect(isSealed()).toBe(false);
});

test("while the seal holds, no lease is read to find out that a container has none", () => {
  take(a, "192.0.2.5");
  // The content changes without the folder's knowledge: only somebody who reads the file can notice.
  writeFileSync(join(directory, "192.0.2.5"), "b\r\neth0");
  expect(namesOf(b)).toEqual([]);
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
    by: () => goLease("192.0.2.9", "b\r\neth0"),
    a: ["192.0.2.5"],
    b: ["192.0.2.9"],
  },
  { name: "the Go plugin gives back", by: () => goRelease("a\r\neth0"), a: [], b: [] },
  {
    name: "the Go plugin gives back and leases the same address",
    by: () => {
      goRelease("a\r\neth0");
      goLease("192.0.2.5", "b\r\neth0");
    },
    a: [],
    b: ["192.0.2.5"],
  },
  { name: "a person removes the lease", by: () => unlinkSync(join(directory, "192.0.2.5")), a: [], b: [] },
  {
    name: "a person replaces the lease",
    by: () => {
      goLease("other", "b\r\neth0");
      renameSync(join(directory, "other"), join(directory, "192.0.2.5"));
    },
    a: [],
    b: ["192.0.2.5"],
  },
  {
    name: "a person removes the lease, and the Go plugin leases its address",
    by: () => {
      unlinkSync(join(directory, "192.0.2.5"));
      goLease("192.0.2.5", "b\r\neth0");
    },
    a: [],
    b: ["192.0.2.5"],
  },
  {
    name: "the folder is emptied by hand",
    by: () => {
      for (const name of listing()) unlinkSync(join(directory, name));
    },
    a: [],
    b: [],
  },
  { name: "the folder is removed", by: () => rmSync(directory, { recursive: true }), a: [], b: [] },
  {
    name: "the index is removed",
    by: () => rmSync(join(directory, ".polynic"), { recursive: true }),
    a: ["192.0.2.5"],
    b: [],
  },
  {
    name: "a part of the index is removed",
    by: () => {
      for (const name of readdirSync(join(directory, ".polynic")))
        rmSync(join(directory, ".polynic", name), { recursive: true });
    },
    a: ["192.0.2.5"],
    b: [],
  },
  {
    name: "strange names appear",
    by: () => {
      mkdirSync(join(directory, "192.0.2.77"));
      goLease("notes.txt", "b\r\neth0");
    },
    a: ["192.0.2.5"],
    b: [],
  },
])("when $name, what is found is what is there", ({ by, a: wantA, b: wantB }) => {
  take(a, "192.0.2.5");
  by();
  expect(namesOf(b)).toEqual(wantB);
  expect(namesOf(a)).toEqual(wantA);
  expect(entries()).toEqual([...wantA, ...wantB].sort());
  release(a);
  release(b);
  expect(listing().filter((name) => name === "192.0.2.5" || name === "192.0.2.9")).toEqual([]);
});

/** What kill -9 leaves behind at each step of taking an address. */
test.each<[string, () => void]>([
  ["the entry without content", () => writeFileSync(stagedPath(), "")],
  ["the entry with its content", () => writeFileSync(stagedPath(), "a\r\neth0")],
  [
    "the lease and the entry without address",
    () => {
      writeFileSync(stagedPath(), "a\r\neth0");
      file.link(stagedPath(), join(directory, "192.0.2.5"));
    },
  ],
  [
    "lease and entry, not sealed",
    () => {
      writeFileSync(stagedPath(), "a\r\neth0");
      file.link(stagedPath(), join(directory, "192.0.2.5"));
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
    rmSync(directory, { recursive: true, force: true });
    take(a, "192.0.2.9");
    release(a);
    crash();
    if (isAddFirst) take(a, "192.0.2.6");
    if (isAddFirst) expect(readFileSync(join(directory, "192.0.2.6"), "utf8")).toBe("a\r\neth0");
    release(a);
    expect(listing()).toEqual(["lock"]);
    expect(entries()).toEqual([]);
  }
});

/** The entry that holder `a` begins with; found by making one. */
function stagedPath(): string {
  const hash = new Bun.CryptoHasher("sha256").update("a\r\neth0").digest("hex").slice(0, 32);
  return join(directory, ".polynic", hash.slice(0, 1), `${hash}@new`);
}

test.each([
  ["empty", ""],
  ["white space", "\r\n"],
  ["zero bytes", "\0\0\0\0"],
])("a lease whose content is %s is nobody's", (_, content) => {
  take(b, "192.0.2.9");
  goLease("192.0.2.5", content);
  // Names are compared because the folder changed.
  expect(take(a, "192.0.2.5")).toBe(true);
  // The folder does not change when a power cut takes the content: whoever wants the address finds out.
  writeFileSync(join(directory, "192.0.2.9"), content);
  expect(take(a, "192.0.2.9")).toBe(false);
  expect(inStore((store) => store.holderOf(ip("192.0.2.9")))).toBeUndefined();
  expect(take(a, "192.0.2.9")).toBe(true);
  // So does everybody when the range is used up.
  writeFileSync(join(directory, "192.0.2.9"), content);
  expect(inStore((store) => store.sweep())).toEqual(["192.0.2.9"]);
});

test("a lease says who has it, and since when", () => {
  take(a, "192.0.2.5");
  const since = new Date("2026-01-02T03:04:05Z");
  file.setModified(join(directory, "192.0.2.5"), BigInt(since.getTime()) * 1_000_000n);
  inStore((store) => {
    expect(store.holderOf(ip("192.0.2.5"))).toEqual({ text: "a\r\neth0", since });
    expect(store.holderOf(ip("192.0.2.6"))).toBeUndefined();
  });
});

test("only the holder's own lease is given back", () => {
  take(a, "192.0.2.5");
  inStore((store) => store.release({ name: "192.0.2.5", text: "b\r\neth0" }));
  expect(namesOf(a)).toEqual(["192.0.2.5"]);
});

test("a sweep removes what it is told to, and nothing but leases", () => {
  take(a, "192.0.2.5");
  inStore((store) => store.rememberLast(0, ip("192.0.2.5")));
  goLease("192.0.2.6", "b");
  goLease("192.0.2.7", "# the printer");
  expect(inStore((store) => store.sweep((text) => text === "b" || text === "a\r\neth0").sort())).toEqual([
    "192.0.2.5",
    "192.0.2.6",
  ]);
  expect(listing()).toEqual(["192.0.2.7", "last_reserved_ip.0", "lock"]);
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
      rmSync(directory, { recursive: true, force: true });
      inStore(() => {});
      const model = new Map<string, number>();
      for (const [kind, verb, number, host] of moves) {
        const holder = { containerId: `c${number}`, ifName: "eth0" };
        const name = formatIp(ip(`192.0.2.${host}`));
        if (verb === "add" && kind === "ours") expect(take(holder, name)).toBe(!model.has(name));
        if (verb === "add" && kind === "go" && !model.has(name)) goLease(name, `c${number}\r\neth0`);
        if (verb === "add" && !model.has(name)) model.set(name, number);
        if (verb === "del" && kind === "ours") release(holder);
        if (verb === "del" && kind === "go") goRelease(`c${number}\r\neth0`);
        if (verb === "del") for (const [each, owner] of model) if (owner === number) model.delete(each);
      }
      expect(listing().filter((name) => name !== "lock")).toEqual([...model.keys()].sort());
      for (let number = 0; number <= 4; number++) {
        const want = [...model].flatMap(([name, owner]) => (owner === number ? [name] : [])).sort();
        expect(namesOf({ containerId: `c${number}`, ifName: "eth0" })).toEqual(want);
      }
      expect(entries()).toEqual([...model.keys()].sort());
    }),
    { numRuns: 60 },
  );
});
