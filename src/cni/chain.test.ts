import { expect, test } from "vitest";
import type { JsonObject } from "../json/value.ts";
import { NetnsRef } from "../netns/ref.ts";
import { oneAddress, prefix, type Recorded, recorder, testRuntime } from "./call.test-data.ts";
import { addList, type Attachment, checkList, delList, gcList, statusList } from "./chain.ts";
import { CniError, HalfUndoneError } from "./error.ts";
import { type NetworkList, parseNetwork } from "./network-list.ts";
import type { Plugin } from "./plugin.ts";
import { encodeResult } from "./result-encode.ts";
import { emptyResult } from "./result.ts";
import { isAtLeast, versions } from "./version.ts";

const attachment: Attachment = {
  containerId: "c1",
  ifName: "net1",
  netns: new NetnsRef("/run/netns/gone"),
  args: "A=b",
  path: ["/nowhere"],
  capabilityArgs: {},
};

const network = (members: object = {}): NetworkList =>
  parseNetwork(
    JSON.stringify({
      cniVersion: "1.1.0",
      name: "net",
      plugins: [{ type: "a" }, { type: "b" }, { type: "c" }],
      ...members,
    }),
  );

/** Plugins a, b and c that record; `changes` by name. */
function trio(seen: Recorded[], changes: Readonly<Record<string, Partial<Plugin>>> = {}): Plugin[] {
  return ["a", "b", "c"].map((name) => recorder(name, seen, changes[name]));
}

const steps = (seen: readonly Recorded[]) => seen.map(({ verb, call }) => `${verb} ${call.conf.type}`);
const raw = (seen: readonly Recorded[]): JsonObject[] => seen.map(({ call }) => call.conf.raw);
const fail =
  (message: string, code = 7, details = "") =>
  (): never => {
    throw new CniError(code, message, details);
  };

test("ADD runs in order, each plugin with the list's name and version and the result before it, and gives the last result", async () => {
  const seen: Recorded[] = [];
  const last = { ...emptyResult, ips: [{ address: prefix }] };
  using runtime = testRuntime(trio(seen, { c: { add: (call) => (seen.push({ verb: "ADD", call }), last) } }));
  const plugins = [
    { type: "a", name: "own", CNIVersion: "0.1.0", prevResult: null },
    { type: "b", x: 1 },
    { type: "c" },
  ];
  expect(await addList(runtime, network({ plugins }), attachment)).toBe(last);
  const shared = { cniVersion: "1.1.0", name: "net" };
  const prevResult = encodeResult(oneAddress, "1.1.0");
  expect(raw(seen)).toEqual([
    { type: "a", prevResult: null, ...shared },
    { type: "b", x: 1, ...shared, prevResult },
    { type: "c", ...shared, prevResult },
  ]);
  expect(seen[1]?.call.conf.prevResult).toEqual(oneAddress);
  expect(seen[0]?.call).toMatchObject({ containerId: "c1", ifName: "net1", args: { pairs: [["A", "b"]] } });
});

test("each plugin gets the capability arguments that it declares as true", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen));
  const plugins = [
    { type: "a", capabilities: { mac: true, ips: false, bandwidth: true } },
    { type: "b", capabilities: { ips: true }, runtimeConfig: { old: 1 } },
    { type: "c", runtimeConfig: { own: 1 } },
  ];
  const capabilityArgs = { mac: "00:11:22:33:44:55", ips: ["10.1.2.3/24"] };
  await addList(runtime, network({ plugins }), { ...attachment, capabilityArgs });
  expect(raw(seen).map(({ runtimeConfig, capabilities }) => ({ runtimeConfig, capabilities }))).toEqual([
    { runtimeConfig: { mac: "00:11:22:33:44:55" }, capabilities: { mac: true, ips: false, bandwidth: true } },
    { runtimeConfig: { ips: ["10.1.2.3/24"] }, capabilities: { ips: true } },
    { runtimeConfig: { own: 1 }, capabilities: undefined },
  ]);
});

test("when a plugin fails, it and those before it get a DEL in reverse with the last result", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen, { b: { add: fail("no luck", 11, "later") } }));
  await expect(addList(runtime, network(), attachment)).rejects.toThrow(
    expect.objectContaining({
      code: 11,
      message: 'plugin type="b" name="net" failed (add): no luck',
      details: "later",
    }),
  );
  expect(steps(seen)).toEqual(["ADD a", "DEL b", "DEL a"]);
  expect(seen[1]?.call.conf.prevResult).toEqual(oneAddress);
});

test("what fails while a partial ADD is taken back is told too, and does not stop it", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen, { b: { del: fail("stuck") }, c: { add: fail("no luck") } }));
  await expect(addList(runtime, network(), attachment)).rejects.toThrow(
    expect.objectContaining({
      message: 'plugin type="c" name="net" failed (add): no luck',
      details: 'undo: plugin type="b" name="net" failed (delete): stuck',
    }),
  );
  expect(steps(seen)).toEqual(["ADD a", "ADD b", "DEL c", "DEL a"]);
});

test("an error tells whether anything may be left of a failed ADD", async () => {
  const failing = { add: fail("no luck") };
  using clean = testRuntime(trio([], { c: failing }));
  await expect(addList(clean, network(), attachment)).rejects.not.toBeInstanceOf(HalfUndoneError);
  using stuck = testRuntime(trio([], { a: { del: fail("stuck") }, c: failing }));
  await expect(addList(stuck, network(), attachment)).rejects.toBeInstanceOf(HalfUndoneError);
});

test("a plugin that can't be found gets no DEL: it has not run", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen), { execPlugins: new Set(["c"]) });
  const failure = await addList(runtime, network(), attachment).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    code: 999,
    message: expect.stringContaining('failed to find plugin "c"') as unknown,
  });
  expect(failure).not.toBeInstanceOf(HalfUndoneError);
  expect(steps(seen)).toEqual(["ADD a", "ADD b", "DEL b", "DEL a"]);
});

test("a plugin that refuses its config gets no DEL, for which it would only refuse it again", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen, { c: { parse: fail("mtu is negative") } }));
  await expect(addList(runtime, network(), attachment)).rejects.toThrow(
    expect.objectContaining({ message: 'plugin type="c" name="net" failed (add): mtu is negative', details: "" }),
  );
  expect(steps(seen)).toEqual(["ADD a", "ADD b", "DEL b", "DEL a"]);
  expect(runtime.entries).toEqual([]);
});

test("a result that the list's version can't say fails the ADD and is taken back", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen, { c: { add: () => emptyResult } }));
  await expect(addList(runtime, network({ cniVersion: "0.2.0" }), attachment)).rejects.toThrow(
    'plugin type="c" name="net" failed (add): cannot convert: no valid IP addresses',
  );
  expect(steps(seen)).toEqual(["ADD a", "ADD b", "DEL c", "DEL b", "DEL a"]);
});

test.each([
  ["a network name", network({ name: "a/b" }), {}, 7, "invalid characters found in network name"],
  ["no network name", network({ name: "" }), {}, 7, "missing network name"],
  ["a container id", network(), { containerId: "a b" }, 4, "invalid characters in containerID"],
  ["an interface name", network(), { ifName: "a/b" }, 4, "interface name contains / or : or whitespace characters"],
  ["an unknown version", network({ cniVersion: "9.9.9" }), {}, 1, "incompatible CNI versions"],
  ["no plugins", parseNetwork('{"name":"net"}'), {}, 7, "network net has no plugins"],
] as const)("%s that is not allowed is refused before any plugin runs", async (_, list, change, code, message) => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen));
  await expect(addList(runtime, list, { ...attachment, ...change })).rejects.toThrow(
    expect.objectContaining({ code, message }),
  );
  expect(seen).toEqual([]);
});

test("DEL runs in reverse to the end though plugins fail, and joins what failed", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen, { a: { del: fail("one", 11, "x") }, c: { del: fail("two", 5) } }));
  await expect(delList(runtime, network(), attachment, oneAddress)).rejects.toThrow(
    expect.objectContaining({
      code: 5,
      message: 'plugin type="c" name="net" failed (delete): two; plugin type="a" name="net" failed (delete): one',
      details: "x",
    }),
  );
  expect(steps(seen)).toEqual(["DEL b"]);
  expect(seen[0]?.call.conf.prevResult).toEqual(oneAddress);
});

test.each(versions)("DEL of a list of version %s hands on the result from 0.4.0 on", async (cniVersion) => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen));
  await delList(runtime, network({ cniVersion }), attachment, oneAddress);
  expect(steps(seen)).toEqual(["DEL c", "DEL b", "DEL a"]);
  expect(seen[0]?.call.conf.prevResult).toEqual(isAtLeast(cniVersion, "0.4.0") ? oneAddress : undefined);
});

test("CHECK runs in order with the result of the ADD, and ends at the first failure", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen, { b: { check: fail("gone", 3) } }));
  await expect(checkList(runtime, network(), attachment, oneAddress)).rejects.toThrow(
    expect.objectContaining({ code: 3, message: 'plugin type="b" name="net" failed (check): gone' }),
  );
  expect(steps(seen)).toEqual(["CHECK a"]);
  expect(seen[0]?.call.conf.prevResult).toEqual(oneAddress);
});

test.each(versions)(
  "CHECK of a list of version %s is refused below 0.4.0, and otherwise may be disabled",
  async (cniVersion) => {
    const seen: Recorded[] = [];
    using runtime = testRuntime(trio(seen));
    const check = checkList(runtime, network({ cniVersion, disableCheck: true }), attachment, oneAddress);
    if (isAtLeast(cniVersion, "0.4.0")) await check;
    else {
      const message = `configuration version "${cniVersion}" does not support the CHECK command`;
      await expect(check).rejects.toThrow(expect.objectContaining({ code: 1, message }));
    }
    expect(seen).toEqual([]);
  },
);

test("STATUS asks in order, and the first that fails keeps its code and text", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen, { b: { status: fail("no addresses left", 50) } }));
  await expect(statusList(runtime, network(), [])).rejects.toThrow(
    expect.objectContaining({ code: 50, message: "no addresses left" }),
  );
  expect(raw(seen)).toEqual([{ type: "a", cniVersion: "1.1.0", name: "net" }]);
});

const valid = [{ containerId: "c1", ifName: "net1" }];

test("GC goes to the end though plugins fail, and each plugin gets the valid attachments under both keys", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen, { a: { gc: fail("one") } }));
  await expect(gcList(runtime, network(), [], valid)).rejects.toThrow('plugin type="a" name="net" failed (gc): one');
  const wire = [{ containerID: "c1", ifname: "net1" }];
  const shared = { cniVersion: "1.1.0", name: "net", "cni.dev/valid-attachments": wire, "cni.dev/attachments": wire };
  expect(raw(seen)).toEqual([
    { type: "b", ...shared },
    { type: "c", ...shared },
  ]);
  expect(seen[0]?.call).toMatchObject({ valid });
});

test.each(versions)("STATUS and GC of a list of version %s run from 1.1.0 on only", async (cniVersion) => {
  const seen: Recorded[] = [];
  using runtime = testRuntime(trio(seen));
  await statusList(runtime, network({ cniVersion }), []);
  await gcList(runtime, network({ cniVersion }), [], valid);
  await gcList(runtime, network({ cniVersion, disableGC: true }), [], valid);
  const want = ["STATUS a", "STATUS b", "STATUS c", "GC a", "GC b", "GC c"];
  expect(steps(seen)).toEqual(cniVersion === "1.1.0" ? want : []);
});

test("a list of a version that polynic does not know can still be deleted where the plugins can", async () => {
  using runtime = testRuntime([]);
  await expect(delList(runtime, network({ cniVersion: "9.9.9" }), attachment, oneAddress)).rejects.toThrow(
    'failed (delete): failed to find plugin "c" in path [/nowhere]',
  );
});
