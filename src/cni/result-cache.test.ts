import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { oneAddress, prefix } from "./call.test-data.ts";
import { type CachedAttachment, ResultCache } from "./result-cache.ts";
import { emptyResult } from "./result.ts";
import { versions } from "./version.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-cache-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const key = { networkName: "net", containerId: "c1", ifName: "net1" };
const entry: CachedAttachment = {
  ...key,
  netnsPath: "/run/netns/c1",
  args: "A=b;C=d",
  capabilityArgs: { mac: "00:11:22:33:44:55" },
  config: '{"name":"net","é":1}',
  result: oneAddress,
};

/** Puts a file where the cache looks for `key`. */
function place(content: string, name = "net-c1-net1"): void {
  mkdirSync(join(folder, "results"), { recursive: true });
  writeFileSync(join(folder, "results", name), content);
}

test("an entry is one compact line with libcni's keys, for the owner's eyes only", () => {
  const cache = new ResultCache(folder);
  cache.write(entry, "1.1.0");
  const path = join(folder, "results", "net-c1-net1");
  expect(cache.pathOf(key)).toBe(path);
  expect(readFileSync(path, "utf8")).toBe(
    `{"kind":"cniCacheV1","containerId":"c1","config":"${Buffer.from(entry.config).toString("base64")}","ifName":"net1",` +
      `"networkName":"net","netns":"/run/netns/c1","cniArgs":[["A","b"],["C","d"]],"capabilityArgs":{"mac":"00:11:22:33:44:55"},` +
      `"result":{"cniVersion":"1.1.0","interfaces":[{"name":"net1","sandbox":"/run/netns/gone"}],` +
      `"ips":[{"address":"10.1.2.3/24","interface":0}]}}`,
  );
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, "results")).mode & 0o777).toBe(0o700);
  expect(readdirSync(join(folder, "results"))).toEqual(["net-c1-net1"]);
});

test("what is empty is left out", () => {
  const cache = new ResultCache(folder);
  cache.write({ ...entry, netnsPath: "", args: "", capabilityArgs: {}, result: emptyResult }, "0.4.0");
  const { config: _, ...rest } = JSON.parse(readFileSync(cache.pathOf(key), "utf8")) as Record<string, unknown>;
  expect(rest).toEqual({
    kind: "cniCacheV1",
    containerId: "c1",
    ifName: "net1",
    networkName: "net",
    result: { cniVersion: "0.4.0", dns: {} },
  });
});

test.each(versions)("an entry with a result of version %s reads back as it was", (version) => {
  const cache = new ResultCache(folder);
  const result = { ...emptyResult, ips: [{ address: prefix }] };
  cache.write({ ...entry, result }, version);
  expect(cache.read(key)).toEqual({ ...entry, result });
});

test("nothing is remembered of an attachment that was never written or was deleted", () => {
  const cache = new ResultCache(folder);
  expect(cache.read(key)).toBeUndefined();
  expect(cache.list()).toEqual({ attachments: [], unreadable: [] });
  expect(cache.delete(key)).toBe(false);
  cache.write(entry, "1.1.0");
  expect(cache.delete(key)).toBe(true);
  expect(cache.read(key)).toBeUndefined();
});

test("a later write replaces an entry", () => {
  const cache = new ResultCache(folder);
  cache.write(entry, "1.1.0");
  cache.write({ ...entry, args: "" }, "1.1.0");
  expect(cache.read(key)?.args).toBe("");
});

test.each([
  ["1.0.0", `{"cniVersion":"1.0.0","ips":[{"address":"10.1.2.3/24"}]}`],
  ["no version, which is 0.1.0", `{"ip4":{"ip":"10.1.2.3/24"}}`],
  ["another kind", `{"kind":"other","cniVersion":"0.3.1","ips":[{"version":"4","address":"10.1.2.3/24"}]}`],
])("a bare result of the old format is read: %s", (_, content) => {
  place(content);
  expect(new ResultCache(folder).read(key)).toEqual({
    ...key,
    netnsPath: "",
    args: "",
    capabilityArgs: {},
    config: "",
    result: { ...emptyResult, ips: [{ address: prefix }] },
  });
});

test.each([
  "",
  "{",
  "[]",
  '{"kind":"cniCacheV1"}',
  '{"kind":"cniCacheV1","containerId":"c","ifName":"i","networkName":"n","result":{"cniVersion":"7"}}',
])("a file with %j is refused and named", (content) => {
  place(content);
  expect(() => new ResultCache(folder).read(key)).toThrow(
    expect.objectContaining({
      code: 6,
      message: expect.stringContaining(`cannot use cached result ${folder}/results/net-c1-net1: `),
    }),
  );
});

test("all attachments are listed; other files are named, leftovers of a crash and folders passed over", () => {
  const cache = new ResultCache(folder);
  const other = { ...entry, networkName: "other", containerId: "c2" };
  cache.write(other, "1.1.0");
  cache.write(entry, "1.1.0");
  place("{", "broken");
  place("{}", "legacy");
  place("junk", "net-c1-net1.1-0.tmp");
  mkdirSync(join(folder, "results", "folder"));
  expect(cache.list()).toEqual({
    attachments: [entry, other],
    unreadable: [expect.stringContaining("results/broken: "), expect.stringContaining("results/legacy: ")],
  });
});

test("the attachments of one container are its own, though names of networks may look like its id", () => {
  const cache = new ResultCache(folder);
  const lookalikes = [
    { ...entry, networkName: "pods-c1-lan", containerId: "other" },
    { ...entry, containerId: "c1-c1" },
  ];
  for (const each of [entry, ...lookalikes]) cache.write(each, "1.1.0");
  place("{", "torn-c1-net2");
  place("{", "torn-c2-net2");
  expect(cache.list("c1")).toEqual({
    attachments: [entry],
    unreadable: [expect.stringContaining("results/torn-c1-net2: ")],
  });
});

test("forgetting an attachment removes what a killed write of it left", () => {
  const cache = new ResultCache(folder);
  cache.write(entry, "1.1.0");
  place("half", ".net-c1-net1.tmp");
  expect(cache.list().attachments).toEqual([entry]);
  expect(cache.delete(key)).toBe(true);
  expect(readdirSync(join(folder, "results"))).toEqual([]);
});

test("a name that could lead out of the folder is refused", () => {
  const cache = new ResultCache(folder);
  for (const change of [{ networkName: "../x" }, { containerId: "../x" }, { ifName: "../x" }, { networkName: "" }]) {
    expect(() => cache.read({ ...key, ...change })).toThrow(expect.objectContaining({ name: "CniError" }));
    expect(() => cache.write({ ...entry, ...change }, "1.1.0")).toThrow(expect.objectContaining({ name: "CniError" }));
  }
});

test("a folder that can't be made is code 5", () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  expect(() => new ResultCache(join(file, "x")).write(entry, "1.1.0")).toThrow(expect.objectContaining({ code: 5 }));
});
