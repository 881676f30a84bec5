import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadNetwork, loadNetworkFile } from "./network-folder.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-networks-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(files: Readonly<Record<string, object | string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
}

const network = (name: string, type: string) => ({ cniVersion: "1.0.0", name, plugins: [{ type }] });
const types = (name: string) => loadNetwork(folder, name).plugins.map(({ type }) => type);

test("lists come before single configs, each by file name, and the first of the name counts", () => {
  write({
    "00-a.conf": { name: "net", type: "conf" },
    "00-b.json": { name: "other", type: "json" },
    "20.conflist": network("net", "second"),
    "10.conflist": network("net", "first"),
    "99.conf": { name: "other", type: "late" },
    "05.txt": "junk",
    "sub.conflist/x.conflist": network("hidden", "x"),
  });
  expect(types("net")).toEqual(["first"]);
  expect(types("other")).toEqual(["json"]);
  expect(() => types("hidden")).toThrow(`no net configuration with name "hidden" in ${folder}`);
});

test("a link to a file counts as one", () => {
  write({ "real/x": network("net", "bridge") });
  symlinkSync("real/x", join(folder, "10.conflist"));
  expect(types("net")).toEqual(["bridge"]);
});

test.each([
  ["a folder without configs", "", "expected *.conflist, *.conf or *.json in it"],
  ["a folder that does not exist", "/gone", "there is no such folder"],
])("%s is told from a name that is missing", (_, suffix, details) => {
  expect(() => loadNetwork(`${folder}${suffix}`, "net")).toThrow(
    expect.objectContaining({ code: 7, message: `no net configurations found in ${folder}${suffix}`, details }),
  );
});

test("a malformed file ends the search only when it comes before, and is named with the place in it", () => {
  write({ "10.conflist": network("net", "bridge"), "20.conflist": { name: "bad", plugins: [{}] } });
  expect(types("net")).toEqual(["bridge"]);
  expect(() => types("later")).toThrow(
    expect.objectContaining({
      code: 7,
      message: `${folder}/20.conflist: error parsing configuration list: $.plugins[0].type: missing 'type'`,
    }),
  );
});

test("plugins in the folder of the network's name come after those of the list, by file name", () => {
  write({
    "10.conflist": network("net", "bridge"),
    "net/20.conf": { type: "sbr" },
    "net/10.conf": { type: "tuning" },
    "net/30.json": "ignored",
  });
  expect(types("net")).toEqual(["bridge", "tuning", "sbr"]);
});

test("a list may have all of its plugins there, or none of them", () => {
  write({
    "10.conflist": { name: "net" },
    "net/10.conf": { type: "tuning" },
    "20.conflist": { ...network("only", "bridge"), loadOnlyInlinedPlugins: true },
    "only/10.conf": { type: "tuning" },
    "30.conflist": { name: "empty" },
  });
  expect(types("net")).toEqual(["tuning"]);
  expect(types("only")).toEqual(["bridge"]);
  expect(() => types("empty")).toThrow(expect.objectContaining({ code: 7, message: "no plugin configs found" }));
});

test("a name that would lead out of the folder has no folder of plugins", () => {
  write({ "nets/10.conflist": network("../other", "bridge"), "other/10.conf": { type: "tuning" } });
  const { plugins } = loadNetwork(join(folder, "nets"), "../other");
  expect(plugins.map(({ type }) => type)).toEqual(["bridge"]);
});

test("a malformed plugin there is named", () => {
  write({ "10.conflist": network("net", "bridge"), "net/10.conf": "{" });
  expect(() => types("net")).toThrow(
    expect.objectContaining({ code: 6, message: expect.stringContaining(`${folder}/net/10.conf: `) }),
  );
});

test("a file is loaded whatever its name, with the plugins beside it", () => {
  write({ any: network("net", "bridge"), "net/1.conf": { type: "tuning" }, single: { name: "one", type: "macvlan" } });
  expect(loadNetworkFile(join(folder, "any")).plugins.map(({ type }) => type)).toEqual(["bridge", "tuning"]);
  expect(loadNetworkFile(join(folder, "single"))).toMatchObject({ name: "one", plugins: [{ type: "macvlan" }] });
});

test("a file that can't be read is code 5", () => {
  expect(() => loadNetworkFile(join(folder, "gone"))).toThrow(
    expect.objectContaining({ code: 5, message: expect.stringContaining(`error reading ${folder}/gone: `) }),
  );
});
