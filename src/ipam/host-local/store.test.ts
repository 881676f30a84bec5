import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import * as file from "../../libc/file.ts";
import { tryLock } from "../../libc/lock.ts";
import { a, b, ip, LeaseFolder } from "./lease-folder.test-data.ts";

const leases = new LeaseFolder();
beforeEach(() => leases.clear());
afterAll(() => leases[Symbol.dispose]());

test("files, contents and modes are those of the Go plugin", () => {
  leases.inStore((store) => {
    store.take(a, ip("192.0.2.5"));
    store.take(a, ip("2001:DB8::5"));
    store.rememberLast(1, ip("2001:db8::5"));
  });
  expect(leases.listing()).toEqual(["192.0.2.5", "2001:db8::5", "last_reserved_ip.1", "lock"]);
  expect(readFileSync(join(leases.directory, "192.0.2.5"), "utf8")).toBe("a\r\neth0");
  expect(readFileSync(join(leases.directory, "last_reserved_ip.1"), "utf8")).toBe("2001:db8::5");
  const modes = ["", "192.0.2.5", "lock", "last_reserved_ip.1"].map(
    (name) => statSync(join(leases.directory, name)).mode & 0o777,
  );
  expect(modes).toEqual([0o755, 0o600, 0o750, 0o600]);
});

test("an address is leased once, and again after it was given back", () => {
  expect(leases.take(a, "192.0.2.5")).toBe(true);
  expect(leases.take(b, "192.0.2.5")).toBe(false);
  expect(leases.entries()).toEqual(["192.0.2.5"]);
  leases.release(a);
  expect(leases.take(b, "192.0.2.5")).toBe(true);
  expect(leases.namesOf(a)).toEqual([]);
  expect(leases.namesOf(b)).toEqual(["192.0.2.5"]);
});

test("a holder is a container and an interface together", () => {
  leases.take(a, "192.0.2.5");
  leases.take({ ...a, ifName: "net1" }, "192.0.2.6");
  leases.take(a, "2001:db8::5");
  expect(leases.namesOf(a)).toEqual(["192.0.2.5", "2001:db8::5"]);
  leases.release(a);
  expect(leases.listing()).toEqual(["192.0.2.6", "lock"]);
});

test("leases of old versions, with the container alone, are found when there are no others", () => {
  leases.inStore(() => {});
  leases.goLease("192.0.2.7", "a\n");
  expect(leases.namesOf(a)).toEqual(["192.0.2.7"]);
  leases.take(a, "192.0.2.5");
  expect(leases.namesOf(a)).toEqual(["192.0.2.5"]);
  leases.release(a);
  leases.release(a);
  expect(leases.listing()).toEqual(["lock"]);
});

test("white space around the content does not count", () => {
  leases.inStore(() => {});
  leases.goLease("192.0.2.7", " \r\n\ta\r\neth0  \n");
  expect(leases.namesOf(a)).toEqual(["192.0.2.7"]);
  leases.release(a);
  expect(leases.listing()).toEqual(["lock"]);
});

test("a network without a folder has no leases, and looking does not make one", () => {
  expect(leases.openIfExists()).toBeUndefined();
  expect(existsSync(leases.directory)).toBe(false);
});

test("nobody else gets in while the store is open", () => {
  using store = leases.open();
  using other = file.open(join(leases.directory, "lock"), file.O_RDONLY);
  expect(tryLock(other)).toBe(false);
  expect(store.names()).toEqual([]);
});

test("the last address of a set is remembered; a torn one is forgotten", () => {
  leases.inStore((store) => {
    expect(store.lastReserved(0)).toBeUndefined();
    store.rememberLast(0, ip("192.0.2.5"));
    expect(store.lastReserved(0)).toEqual(ip("192.0.2.5"));
    expect(store.lastReserved(1)).toBeUndefined();
    writeFileSync(join(leases.directory, "last_reserved_ip.0"), "192.0.");
    expect(store.lastReserved(0)).toBeUndefined();
  });
});

test("a crowded range is walked by names, and the same addresses are refused", () => {
  leases.inStore((store) => {
    for (let host = 1; host <= 60; host++) expect(store.take(a, ip(`192.0.2.${host}`))).toBeDefined();
    for (let host = 1; host <= 60; host++) expect(store.take(b, ip(`192.0.2.${host}`))).toBeUndefined();
    expect(store.take(b, ip("192.0.2.61"))).toEqual({ name: "192.0.2.61", text: "b\r\neth0" });
  });
});

test.each([
  ["empty", ""],
  ["white space", "\r\n"],
  ["zero bytes", "\0\0\0\0"],
])("a lease whose content is %s is nobody's", (_, content) => {
  leases.take(b, "192.0.2.9");
  leases.goLease("192.0.2.5", content);
  // Names are compared because the folder changed.
  expect(leases.take(a, "192.0.2.5")).toBe(true);
  // The folder does not change when a power cut takes the content: whoever wants the address finds out.
  writeFileSync(join(leases.directory, "192.0.2.9"), content);
  expect(leases.take(a, "192.0.2.9")).toBe(false);
  expect(leases.inStore((store) => store.holderOf(ip("192.0.2.9")))).toBeUndefined();
  expect(leases.take(a, "192.0.2.9")).toBe(true);
  // So does everybody when the range is used up.
  writeFileSync(join(leases.directory, "192.0.2.9"), content);
  expect(leases.inStore((store) => store.sweep())).toEqual(["192.0.2.9"]);
});

test("a lease says who has it, and since when", () => {
  leases.take(a, "192.0.2.5");
  const since = new Date("2026-01-02T03:04:05Z");
  file.setModified(join(leases.directory, "192.0.2.5"), BigInt(since.getTime()) * 1_000_000n);
  leases.inStore((store) => {
    expect(store.holderOf(ip("192.0.2.5"))).toEqual({ text: "a\r\neth0", since });
    expect(store.holderOf(ip("192.0.2.6"))).toBeUndefined();
  });
});

test("only the holder's own lease is given back", () => {
  leases.take(a, "192.0.2.5");
  leases.inStore((store) => store.release({ name: "192.0.2.5", text: "b\r\neth0" }));
  expect(leases.namesOf(a)).toEqual(["192.0.2.5"]);
});

test("a sweep removes what it is told to, and nothing but leases", () => {
  leases.take(a, "192.0.2.5");
  leases.inStore((store) => store.rememberLast(0, ip("192.0.2.5")));
  leases.goLease("192.0.2.6", "b");
  leases.goLease("192.0.2.7", "# the printer");
  expect(leases.inStore((store) => store.sweep((text) => text === "b" || text === "a\r\neth0").sort())).toEqual([
    "192.0.2.5",
    "192.0.2.6",
  ]);
  expect(leases.listing()).toEqual(["192.0.2.7", "last_reserved_ip.0", "lock"]);
});
