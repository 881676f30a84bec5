import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findNodeConf } from "./node-conf.ts";

let folder = "";
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "polynic-node-conf-"))));
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, content: object | string): void =>
  writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
const single = (type: string) => ({ cniVersion: "1.0.0", name: type, type });

test("the first file by name that has a plugin of the dispatcher's type counts, alone or in a list", () => {
  write("00-bridge.conf", single("bridge"));
  write("10-list.conflist", { cniVersion: "1.0.0", name: "list", plugins: [single("x"), single("multus")] });
  write("20-multus.conf", single("multus"));
  expect(findNodeConf(folder)).toMatchObject({ path: join(folder, "10-list.conflist"), list: { name: "list" } });
});

test("other files, and a folder that is not there, have none", () => {
  write("00-multus.conf.old", single("multus"));
  write("readme.txt", "multus");
  expect(findNodeConf(folder)).toBeUndefined();
  expect(findNodeConf(join(folder, "nowhere"))).toBeUndefined();
});

test("a file that can't be read is named, unless one before it is the dispatcher's", () => {
  write("10-broken.conf", "{");
  expect(() => findNodeConf(folder)).toThrow(`${join(folder, "10-broken.conf")}: `);
  write("00-multus.conf", single("multus"));
  expect(findNodeConf(folder)?.path).toBe(join(folder, "00-multus.conf"));
});
