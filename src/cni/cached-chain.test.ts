import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NetnsRef } from "../netns/ref.ts";
import { addCached, checkCached, delCached, gcCached } from "./cached-chain.ts";
import { oneAddress, type Recorded, recorder, testRuntime } from "./call.test-data.ts";
import type { Attachment } from "./chain.ts";
import { CniError } from "./error.ts";
import { type NetworkList, parseNetwork } from "./network-list.ts";
import { ResultCache } from "./result-cache.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "polynic-chain-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const attachment: Attachment = {
  containerId: "c1",
  ifName: "net1",
  netns: new NetnsRef("/run/netns/gone"),
  args: "A=b",
  path: ["/nowhere"],
  capabilityArgs: { mac: "00:11:22:33:44:55" },
};
const key = { networkName: "net", containerId: "c1", ifName: "net1" };
const list = (members: object = {}): NetworkList =>
  parseNetwork(
    JSON.stringify({
      cniVersion: "1.1.0",
      name: "net",
      plugins: [{ type: "a", capabilities: { mac: true } }],
      ...members,
    }),
  );
const steps = (seen: readonly Recorded[]) =>
  seen.map(({ verb, call }) => ("containerId" in call ? `${verb} ${call.containerId}` : verb));
const fail = (message: string) => (): never => {
  throw new CniError(7, message);
};

test("an ADD is remembered with the list's text and all that DEL needs", async () => {
  const cache = new ResultCache(folder);
  using runtime = testRuntime([recorder("a", [])]);
  expect(await addCached(runtime, cache, list(), attachment)).toEqual(oneAddress);
  const { args, capabilityArgs } = attachment;
  const config = list().text;
  expect(cache.read(key)).toEqual({
    ...key,
    netnsPath: "/run/netns/gone",
    args,
    capabilityArgs,
    config,
    result: oneAddress,
  });
});

test("an ADD that can't be remembered is taken back", async () => {
  const seen: Recorded[] = [];
  const file = join(folder, "file");
  writeFileSync(file, "");
  using runtime = testRuntime([recorder("a", seen)]);
  await expect(addCached(runtime, new ResultCache(file), list(), attachment)).rejects.toThrow(
    expect.objectContaining({
      code: 5,
      message: expect.stringMatching(/^failed to set network "net" cached result: /),
    }),
  );
  expect(steps(seen)).toEqual(["ADD c1", "DEL c1"]);
});

test("a failed ADD is not remembered", async () => {
  const cache = new ResultCache(folder);
  using runtime = testRuntime([recorder("a", [], { add: fail("no luck") })]);
  await expect(addCached(runtime, cache, list(), attachment)).rejects.toThrow("no luck");
  expect(cache.read(key)).toBeUndefined();
});

test("DEL and CHECK get the remembered result, DEL the remembered capability arguments when it has none, and then it is forgotten", async () => {
  const seen: Recorded[] = [];
  const cache = new ResultCache(folder);
  using runtime = testRuntime([recorder("a", seen)]);
  await addCached(runtime, cache, list(), attachment);
  await checkCached(runtime, cache, list(), attachment);
  await delCached(runtime, cache, list(), { ...attachment, capabilityArgs: {} });
  expect(steps(seen)).toEqual(["ADD c1", "CHECK c1", "DEL c1"]);
  for (const { call } of seen.slice(1)) {
    expect(call.conf.prevResult).toEqual(oneAddress);
    expect(call.conf.raw["runtimeConfig"]).toEqual({ mac: "00:11:22:33:44:55" });
  }
  expect(cache.read(key)).toBeUndefined();
});

test("DEL adds to its own capability arguments what is remembered beside them, and takes remembered CNI_ARGS for none", async () => {
  const seen: Recorded[] = [];
  const cache = new ResultCache(folder);
  using runtime = testRuntime([recorder("a", seen)]);
  await addCached(runtime, cache, list(), attachment);
  await delCached(runtime, cache, list(), { ...attachment, args: "", capabilityArgs: { other: 1 } });
  expect(seen[1]?.call.conf.raw["runtimeConfig"]).toEqual({ mac: "00:11:22:33:44:55" });
  expect(seen[1]?.call).toMatchObject({ args: { pairs: [["A", "b"]] } });
});

test("a DEL that fails keeps what is remembered, for the next attempt", async () => {
  const cache = new ResultCache(folder);
  using runtime = testRuntime([recorder("a", [], { del: fail("stuck") })]);
  await addCached(runtime, cache, list(), attachment);
  await expect(delCached(runtime, cache, list(), attachment)).rejects.toThrow("stuck");
  expect(cache.read(key)).toBeDefined();
});

test.each([
  ["nothing", undefined],
  ["a broken file", "{"],
])("with %s remembered DEL goes on without prevResult", async (_, content) => {
  const seen: Recorded[] = [];
  const cache = new ResultCache(folder);
  if (content !== undefined) {
    mkdirSync(join(folder, "results"));
    writeFileSync(cache.pathOf(key), content);
  }
  using runtime = testRuntime([recorder("a", seen)]);
  await delCached(runtime, cache, list(), attachment);
  expect(seen).toMatchObject([{ verb: "DEL", call: { containerId: "c1" } }]);
  expect(seen[0]?.call.conf.prevResult).toBeUndefined();
  expect(runtime.entries.length).toBe(content === undefined ? 0 : 1);
  expect(cache.read(key)).toBeUndefined();
});

test("CHECK without a remembered result fails in the plugin", async () => {
  using runtime = testRuntime([recorder("a", [])]);
  await expect(checkCached(runtime, new ResultCache(folder), list(), attachment)).rejects.toThrow(
    "Required prevResult missing",
  );
});

test("GC deletes what is remembered of this network and not valid, then asks the plugins", async () => {
  const seen: Recorded[] = [];
  const cache = new ResultCache(folder);
  using runtime = testRuntime([recorder("a", seen)]);
  for (const containerId of ["c1", "c2", "c3"]) await addCached(runtime, cache, list(), { ...attachment, containerId });
  await addCached(runtime, cache, list({ name: "other" }), { ...attachment, containerId: "c4" });
  seen.length = 0;
  const valid = [
    { containerId: "c2", ifName: "net1" },
    { containerId: "c3", ifName: "net9" },
  ];
  await gcCached(runtime, cache, list({ disableGC: true }), [], valid);
  expect(seen).toEqual([]);
  await gcCached(runtime, cache, list(), [], valid);
  expect(steps(seen)).toEqual(["DEL c1", "DEL c3", "GC"]);
  expect(seen[0]?.call).toMatchObject({ args: { pairs: [["A", "b"]] }, netns: { path: "/run/netns/gone" } });
  expect(seen[2]?.call).toMatchObject({ valid });
  expect(cache.list().attachments.map(({ containerId }) => containerId)).toEqual(["c2", "c4"]);
});

test("GC goes to the end though DELs fail, and joins what failed", async () => {
  const seen: Recorded[] = [];
  const cache = new ResultCache(folder);
  using runtime = testRuntime([recorder("a", seen, { del: fail("stuck") })]);
  for (const containerId of ["c1", "c2"]) await addCached(runtime, cache, list(), { ...attachment, containerId });
  seen.length = 0;
  const stuck = 'plugin type="a" name="net" failed (delete): stuck';
  await expect(gcCached(runtime, cache, list(), [], [])).rejects.toThrow(
    `failed to delete stale attachment c1 net1: ${stuck}; failed to delete stale attachment c2 net1: ${stuck}`,
  );
  expect(steps(seen)).toEqual(["GC"]);
});
