import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ContainerLock, lockedContainers } from "./lock.ts";

let cniDir = "";

beforeEach(() => {
  cniDir = join(mkdtempSync(join(tmpdir(), "polynic-lock-")), "missing", "cni");
});
afterEach(() => rmSync(join(cniDir, "..", ".."), { recursive: true }));

test("a lock is one container's, and leaves no file when it is given back", () => {
  {
    using first = ContainerLock.tryTake(cniDir, "a");
    using other = ContainerLock.tryTake(cniDir, "b");
    expect([first, other, ContainerLock.tryTake(cniDir, "a")].map((lock) => lock !== undefined)).toEqual([
      true,
      true,
      false,
    ]);
    expect(lockedContainers(cniDir)).toEqual(["a", "b"]);
  }
  expect(readdirSync(join(cniDir, "locks"))).toEqual([]);
  expect(ContainerLock.tryTake(cniDir, "a")?.[Symbol.dispose]()).toBeUndefined();
});

test("who waits gets the lock when it is given back", async () => {
  const first = await ContainerLock.take(cniDir, "a");
  const order: string[] = [];
  const second = ContainerLock.take(cniDir, "a").then((lock) => {
    order.push("second");
    return lock;
  });
  await Bun.sleep(20);
  order.push("first");
  first[Symbol.dispose]();
  using _lock = await second;
  expect(order).toEqual(["first", "second"]);
});

test("a call from within a call of the same container is refused at once: neither could ever go on", async () => {
  using _lock = await ContainerLock.take(cniDir, "a", true);
  await expect(ContainerLock.take(cniDir, "a", true)).rejects.toThrow(
    expect.objectContaining({ code: 7, message: expect.stringContaining("called again for container a") as unknown }),
  );
});

test("never two at once, however many want it", async () => {
  let holders = 0;
  let most = 0;
  const hold = async (): Promise<void> => {
    using _lock = await ContainerLock.take(cniDir, "a");
    most = Math.max(most, ++holders);
    await Bun.sleep(1);
    holders--;
  };
  await Promise.all(Array.from({ length: 20 }, hold));
  expect(most).toBe(1);
  expect(existsSync(join(cniDir, "locks", "a"))).toBe(false);
});

test("the file that a killed holder left is no lock", () => {
  ContainerLock.tryTake(cniDir, "a")?.[Symbol.dispose]();
  writeFileSync(join(cniDir, "locks", "a"), "");
  using lock = ContainerLock.tryTake(cniDir, "a");
  expect(lock).toBeDefined();
});

test("a folder that can't be made is code 5, with the cure", () => {
  writeFileSync(join(cniDir, "..", "..", "file"), "");
  expect(() => ContainerLock.tryTake(join(cniDir, "..", "..", "file"), "a")).toThrow(
    expect.objectContaining({ code: 5, message: expect.stringContaining("cniDir can't be used") as unknown }),
  );
});

test("names that begin with a dot are no containers", () => {
  using _lock = ContainerLock.tryTake(cniDir, ".status");
  expect(lockedContainers(cniDir)).toEqual([]);
});
