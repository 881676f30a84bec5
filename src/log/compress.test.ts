import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { O_RDONLY, open } from "../libc/file.ts";
import { tryLock } from "../libc/lock.ts";
import { compressBackups } from "./compress.ts";

const root = mkdtempSync(join(tmpdir(), "polynic-compress-"));
afterAll(() => rmSync(root, { recursive: true }));

const hourMs = 3_600_000;

function backup(name: string, content: string, ageMs: number): { readonly log: string; readonly path: string } {
  const folder = mkdtempSync(join(root, "x-"));
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o640 });
  const time = new Date(Date.now() - ageMs);
  utimesSync(path, time, time);
  return { log: join(folder, "multus.log"), path };
}

test("an old backup becomes its compressed self, permissions kept", async () => {
  const content = "a line of a log\n".repeat(100_000);
  const { log, path } = backup("multus-2026-01-02T03-04-05.678.log", content, hourMs);
  writeFileSync(log, "current\n");
  await compressBackups(log);
  expect(readdirSync(join(path, "..")).sort()).toEqual(["multus-2026-01-02T03-04-05.678.log.gz", "multus.log"]);
  expect(gunzipSync(readFileSync(`${path}.gz`)).toString()).toBe(content);
  expect(statSync(`${path}.gz`).mode & 0o777).toBe(0o640);
  expect(statSync(`${path}.gz`).size).toBeLessThan(content.length / 10);
});

test("a backup that a late process may still write to is left alone", async () => {
  const { log, path } = backup("multus-2026-01-02T03-04-05.678.log", "x\n", 1000);
  await compressBackups(log);
  expect([existsSync(path), existsSync(`${path}.gz`)]).toEqual([true, false]);
});

test("a backup that another process is compressing is left to it", async () => {
  const { log, path } = backup("multus-2026-01-02T03-04-05.678.log", "x\n", hourMs);
  {
    using holder = open(path, O_RDONLY);
    expect(tryLock(holder)).toBe(true);
    await compressBackups(log);
    expect(existsSync(`${path}.gz`)).toBe(false);
  }
  await compressBackups(log);
  expect(existsSync(`${path}.gz`)).toBe(true);
});

test("what an interrupted run left behind is replaced", async () => {
  const { log, path } = backup("multus-2026-01-02T03-04-05.678.log", "whole\n", hourMs);
  writeFileSync(`${path}.gz.tmp`, "half of something much longer than the whole");
  await compressBackups(log);
  expect(readdirSync(join(path, ".."))).toEqual(["multus-2026-01-02T03-04-05.678.log.gz"]);
  expect(gunzipSync(readFileSync(`${path}.gz`)).toString()).toBe("whole\n");
});
