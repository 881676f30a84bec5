import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { isErrno } from "./errno.ts";
import * as file from "./file.ts";
import { tryLock } from "./lock.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("what is replaced is read back, and no temporary file stays", () => {
  const path = join(folder, "a/b/c.txt");
  file.makeDirectories(join(folder, "a/b"));
  file.replaceFile(path, "one");
  file.replaceFile(path, "two");
  expect(file.readText(path)).toBe("two");
  expect(file.readDirectory(join(folder, "a/b"))).toMatchObject([{ name: "c.txt", kind: "file" }]);
});

test.each([
  ["longer", "10.0.0.100"],
  ["as long", "10.0.0.6"],
  ["shorter", "::1"],
  ["empty", ""],
])("a file is written over with what is %s, and stays the same file", (_, text) => {
  const path = join(folder, `over-${text.length}`);
  file.overwriteFile(path, "10.0.0.5");
  const { inode } = file.status(path);
  file.overwriteFile(path, text);
  expect(file.readText(path)).toBe(text);
  expect(file.status(path).inode).toBe(inode);
});

test("writers under a lock share a hidden temporary name, which a kill may leave and the next overwrites", () => {
  const path = join(folder, "locked.txt");
  expect(file.temporaryOf(path)).toBe(join(folder, ".locked.txt.tmp"));
  file.writeFile(file.temporaryOf(path), "left by a kill, and longer than what comes");
  file.replaceFile(path, "whole", 0o600, file.temporaryOf(path));
  expect(file.readText(path)).toBe("whole");
  expect(file.readTextIfExists(file.temporaryOf(path))).toBeUndefined();
});

test("where no directory can be made that is an error, not a search without end", () => {
  expect(() => file.makeDirectories("/proc/nowhere/deeper")).toThrow("no such file or directory");
});

test("at a path that is too long there is nothing", () => {
  const path = join(folder, "x".repeat(300));
  expect([file.readTextIfExists(path), file.statusIfExists(path), file.readDirectoryIfExists(path)]).toEqual([
    undefined,
    undefined,
    [],
  ]);
  expect(file.unlinkIfExists(path)).toBe(false);
});

test("a file larger than one read comes back whole", () => {
  const text = "0123456789".repeat(50_000);
  file.writeFile(join(folder, "large"), text);
  expect(file.readText(join(folder, "large"))).toBe(text);
});

test("a missing file is ENOENT by name, or undefined where that was asked for", () => {
  const path = join(folder, "missing");
  expect(() => file.readText(path)).toThrow(`open ${path}: no such file or directory`);
  expect(file.readTextIfExists(path)).toBeUndefined();
  expect(file.statusIfExists(path)).toBeUndefined();
  expect(file.unlinkIfExists(path)).toBe(false);
});

test("link refuses a taken name", () => {
  file.writeFile(join(folder, "from"), "x");
  file.link(join(folder, "from"), join(folder, "to"));
  let code = false;
  try {
    file.link(join(folder, "from"), join(folder, "to"));
  } catch (error) {
    code = isErrno(error, "EEXIST");
  }
  expect(code).toBe(true);
});

test("names of one file show one inode", () => {
  const hard = join(folder, "hard");
  file.makeDirectories(hard);
  file.writeFile(join(hard, "one"), "x");
  file.link(join(hard, "one"), join(hard, "two"));
  file.writeFile(join(hard, "other"), "x");
  const [one, other, two] = file.readDirectory(hard);
  expect(one?.inode).toBe(two?.inode);
  expect(one?.inode).not.toBe(other?.inode);
  expect(one?.inode).toBe(file.status(join(hard, "one")).inode);
});

test("a time of modification is set and read back to the nanosecond", () => {
  const path = join(folder, "dated");
  file.makeDirectories(path);
  file.setModified(path, 1_700_000_000_123_456_789n);
  expect(file.status(path)).toMatchObject({
    modifiedNs: 1_700_000_000_123_456_789n,
    modifiedMs: 1_700_000_000_123.4568,
  });
  expect(() => file.setModified(join(folder, "missing"), 0n)).toThrow("no such file or directory");
});

test("status tells kind and size, through a symbolic link too", () => {
  file.writeFile(join(folder, "sized"), "12345");
  file.symlink(join(folder, "sized"), join(folder, "pointer"));
  expect(file.status(join(folder, "pointer"))).toMatchObject({ kind: "file", size: 5 });
  expect(file.status(folder).kind).toBe("directory");
});

test("a second lock on the same file is refused without waiting", () => {
  const path = join(folder, "lock");
  using first = file.open(path, file.O_RDWR | file.O_CREAT);
  using second = file.open(path, file.O_RDWR);
  expect(tryLock(first)).toBe(true);
  expect(tryLock(second)).toBe(false);
});

test("a closed descriptor can't be used by mistake", () => {
  const fd = file.open(folder, file.O_RDONLY);
  fd[Symbol.dispose]();
  expect(() => fd.number).toThrow("used after it was closed");
});
