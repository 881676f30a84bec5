import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isGeneratedConf, runtimeConfs } from "./runtime-folder.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-runtime-folder-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("a runtime looks at every config by file name, whatever its kind, and at nothing else", () => {
  for (const name of ["20-b.conf", "10-a.json", "00-multus.conflist", ".05-x.conf", "05-y.conf.old"])
    writeFileSync(join(folder, name), "{}");
  mkdirSync(join(folder, "15-folder.conf"));
  const names = runtimeConfs(folder);
  expect(names).toEqual(["00-multus.conflist", "10-a.json", "20-b.conf"]);
  expect(names.filter(isGeneratedConf)).toEqual(["00-multus.conflist"]);
});

test("a folder that is not there is an error, and no empty one", () => {
  expect(() => runtimeConfs(join(folder, "none"))).toThrow(/none/);
});
