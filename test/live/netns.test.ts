import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { isGone, NetnsError } from "../../src/netns/error.ts";
import { Netns } from "../../src/netns/netns.ts";
import { createNetns, deleteNetns } from "../../src/netns/pin.ts";
import { NetnsRef } from "../../src/netns/ref.ts";
import { readSysctl, writeSysctl } from "../../src/netns/sysctl.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-netns-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
function fresh(): string {
  return `/run/netns/polynic-live-${process.pid}-${count++}`;
}

function codeOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return error instanceof NetnsError ? error.code : String(error);
  }
}

test("a pinned namespace is another one than ours, and is gone after deletion", () => {
  const path = fresh();
  using netns = createNetns(path);
  using home = Netns.current();
  expect(netns.isSame(home)).toBe(false);
  using again = Netns.open(path);
  expect(again.isSame(netns)).toBe(true);
  deleteNetns(path);
  deleteNetns(path);
  expect(codeOf(() => Netns.open(path))).toBe("missing");
  expect(Netns.openIfExists(path)).toBeUndefined();
});

test("a taken path is refused and left as it is", () => {
  const path = fresh();
  using _netns = createNetns(path);
  expect(() => createNetns(path)).toThrow("file exists");
  expect(codeOf(() => Netns.open(path)[Symbol.dispose]())).toBeUndefined();
  deleteNetns(path);
});

test("a plain file is not a namespace, which counts as gone", () => {
  const path = join(folder, "plain");
  writeFileSync(path, "");
  try {
    Netns.open(path);
    expect.unreachable();
  } catch (error) {
    expect(isGone(error)).toBe(true);
    expect(String(error)).toContain("unknown FS magic");
  }
  expect(Netns.openIfExists(path)).toBeUndefined();
});

test.each(["/proc/self/ns/mnt", "/proc/self/ns/user", "/proc/self/status", "/proc", "/dev/null"])(
  "%s is no network namespace, which shows when it is opened",
  (path) => {
    expect(codeOf(() => Netns.open(path))).toBe("not-a-netns");
  },
);

test("the thread comes back even when the work throws, and a promise is refused", () => {
  const path = fresh();
  using netns = createNetns(path);
  const inside = (): boolean => {
    using here = Netns.current();
    return here.isSame(netns);
  };
  expect(netns.enter(inside)).toBe(true);
  expect(() =>
    netns.enter(() => {
      throw new Error("inside");
    }),
  ).toThrow("inside");
  expect(() => netns.enter(() => Promise.resolve())).toThrow("must be synchronous");
  expect(inside()).toBe(false);
  deleteNetns(path);
});

test("sysctls are those of the namespace", () => {
  const path = fresh();
  using netns = createNetns(path);
  const before = readSysctl(netns, "net/ipv4/ip_forward");
  writeSysctl(netns, "net/ipv4/ip_forward", before === "0" ? "1" : "0");
  expect(readSysctl(netns, "net/ipv4/ip_forward")).not.toBe(before);
  using home = Netns.current();
  writeSysctl(netns, "net/ipv4/conf/lo/arp_notify", "1");
  expect(readSysctl(home, "net/ipv4/conf/lo/arp_notify")).toBe("0");
  deleteNetns(path);
});

test("a reference opens once, and an empty or missing path is simply not there", () => {
  const path = fresh();
  createNetns(path)[Symbol.dispose]();
  using ref = new NetnsRef(path);
  expect(ref.open()).toBe(ref.openIfExists());
  using none = new NetnsRef("");
  expect(none.openIfExists()).toBeUndefined();
  expect(() => none.open()).toThrow("CNI_NETNS");
  deleteNetns(path);
});

test("what is bound to a namespace is opened in it once, and closed with it", () => {
  const path = fresh();
  using netns = createNetns(path);
  const seen: string[] = [];
  const open = (subject: string) => {
    using inside = Netns.current();
    seen.push(`open ${subject} ${inside.isSame(netns) ? "inside" : "outside"}`);
    return { [Symbol.dispose]: () => void seen.push("close") };
  };
  const other = (subject: string) => open(`${subject}, another`);
  expect(netns.bound(open)).toBe(netns.bound(open));
  expect(netns.bound(other)).not.toBe(netns.bound(open));
  netns[Symbol.dispose]();
  expect(seen).toEqual([`open ${path} inside`, `open ${path}, another inside`, "close", "close"]);
  deleteNetns(path);
});
