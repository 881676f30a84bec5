import { expect, test } from "vitest";
import { invocation, oneAddress, prefix, type Recorded, recorder, testRuntime } from "./call.test-data.ts";
import { CniError, NotBegunError } from "./error.ts";
import { invoke } from "./invoke.ts";
import type { Plugin } from "./plugin.ts";
import { emptyResult } from "./result.ts";

const fail = (message: string, code = 7): never => {
  throw new CniError(code, message);
};

const withIpam = { cniVersion: "1.1.0", name: "net", type: "main", ipam: { type: "ipam" } };

test("a built-in plugin's ADD gives its typed result, every other verb nothing", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime([recorder("main", seen)]);
  expect(await invoke(runtime, invocation("main"))).toEqual(oneAddress);
  expect(await invoke(runtime, invocation("main", { verb: "DEL" }))).toBeUndefined();
  expect(await invoke(runtime, invocation("main", { verb: "STATUS" }))).toBeUndefined();
  expect(await invoke(runtime, invocation("main", { verb: "VERSION" }))).toBeUndefined();
  expect(seen.map(({ verb }) => verb)).toEqual(["ADD", "DEL", "STATUS"]);
  expect(runtime.entries).toEqual([]);
});

test("a type in execPlugins is looked for as a file although it is built in", async () => {
  using runtime = testRuntime([recorder("main", [])], { execPlugins: new Set(["main"]) });
  await expect(invoke(runtime, invocation("main", { path: ["/nowhere"] }))).rejects.toThrow(
    expect.objectContaining({ message: 'failed to find plugin "main" in path [/nowhere]' }),
  );
});

test("a failed ADD is unwound in reverse, and the first cause is what is thrown", async () => {
  const undone: string[] = [];
  const plugin = recorder("main", [], {
    add: ({ undo }) => {
      undo.push("link", () => void undone.push("link"));
      undo.push("rule", () => fail("rule is stuck"));
      return fail("no more addresses", 50);
    },
  });
  using runtime = testRuntime([plugin]);
  await expect(invoke(runtime, invocation("main"))).rejects.toThrow(
    expect.objectContaining({ code: 50, message: "no more addresses" }),
  );
  expect(undone).toEqual(["link"]);
  expect(runtime.entries).toMatchObject([{ level: "error", message: "undo of rule failed: rule is stuck" }]);
});

test("a config that the plugin refuses fails ADD, CHECK and STATUS and is code 7 also when it is the JSON that does not fit", async () => {
  const plugin = recorder("main", [], { parse: () => fail("mtu is negative") });
  using runtime = testRuntime([plugin]);
  const config = { cniVersion: "1.1.0", name: "net", prevResult: {} };
  for (const verb of ["ADD", "CHECK", "STATUS"] as const) {
    await expect(invoke(runtime, invocation("main", { verb, config }))).rejects.toThrow("mtu is negative");
  }
});

test.each(["DEL", "GC"] as const)("%s of a config that the plugin refuses goes on without it", async (verb) => {
  const seen: Recorded[] = [];
  using runtime = testRuntime([recorder("main", seen, { parse: () => fail("mtu is negative") })]);
  const config = { cniVersion: "1.1.0", name: "net", "cni.dev/valid-attachments": [] };
  await invoke(runtime, invocation("main", { verb, config }));
  expect(seen).toMatchObject([{ verb, call: { config: undefined } }]);
  expect(runtime.entries).toMatchObject([{ message: "cleaning up network net without its config: mtu is negative" }]);
});

test("CNI_ARGS that are no pairs reach the plugin as such: most ignore them", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime([recorder("main", seen)]);
  await invoke(runtime, invocation("main", { args: "A=b=c;D=e" }));
  expect(seen).toMatchObject([{ call: { args: { pairs: [["D", "e"]], malformed: ["A=b=c"] } } }]);
});

test("GC without a list of valid attachments removes nothing", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime([recorder("main", seen)]);
  await invoke(runtime, invocation("main", { verb: "GC" }));
  expect(seen).toEqual([]);
  expect(runtime.entries).toMatchObject([{ level: "error", message: expect.stringContaining("nothing is removed") }]);
});

const delegating: Plugin = {
  name: "main",
  parse: () => undefined,
  add: (call) => call.ipam.add(call.undo),
  del: (call) => call.ipam.del(),
  check: (call) => call.ipam.check(),
  status: (call) => call.ipam.status(),
  gc: (call) => call.ipam.gc(call.valid),
};

test("every verb reaches the IPAM plugin with the whole config and the same container", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime([delegating, recorder("ipam", seen)]);
  const config = { ...withIpam, prevResult: {}, "cni.dev/valid-attachments": [{ containerID: "c2", ifname: "net2" }] };
  for (const verb of ["ADD", "DEL", "CHECK", "STATUS", "GC"] as const) {
    await invoke(runtime, invocation("main", { verb, config, args: "A=b" }));
  }
  expect(seen.map(({ verb }) => verb)).toEqual(["ADD", "DEL", "CHECK", "STATUS", "GC"]);
  for (const { call } of seen) expect(call.conf.raw).toMatchObject(config);
  expect(seen[0]?.call).toMatchObject({ containerId: "c1", ifName: "net1", args: { pairs: [["A", "b"]] } });
  expect(seen[4]?.call).toMatchObject({ valid: [{ containerId: "c2", ifName: "net2" }] });
});

test("an IPAM result comes without interfaces and indices", async () => {
  using runtime = testRuntime([delegating, recorder("ipam", [])]);
  expect(await invoke(runtime, invocation("main", { config: withIpam }))).toEqual({
    ...emptyResult,
    ips: [{ address: prefix }],
  });
});

test("a config without IPAM plugin has an IPAM that does nothing", async () => {
  using runtime = testRuntime([delegating]);
  const config = { cniVersion: "1.1.0", name: "net", type: "main", prevResult: {}, "cni.dev/valid-attachments": [] };
  expect(await invoke(runtime, invocation("main", { config }))).toEqual(emptyResult);
  for (const verb of ["DEL", "CHECK", "STATUS", "GC"] as const) {
    await invoke(runtime, invocation("main", { verb, config }));
  }
});

test.each([
  ["the delegate itself", recorder("ipam", [], { add: () => fail("full", 50) }), delegating, 50],
  [
    "a later step",
    recorder("ipam", []),
    { ...delegating, add: async (call) => (await call.ipam.add(call.undo), fail("no link")) } satisfies Plugin,
    7,
  ],
] as const)("after a failure of %s the delegate gets its DEL", async (_, ipam, main, code) => {
  const dels: string[] = [];
  const recording = { ...ipam, del: () => void dels.push("DEL") };
  using runtime = testRuntime([main, recording]);
  await expect(invoke(runtime, invocation("main", { config: withIpam }))).rejects.toThrow(
    expect.objectContaining({ code }),
  );
  expect(dels).toEqual(["DEL"]);
});

test("an IPAM plugin that is not there fails ADD and names where it was looked for", async () => {
  using runtime = testRuntime([delegating]);
  await expect(invoke(runtime, invocation("main", { config: withIpam, path: ["/a", "/b"] }))).rejects.toThrow(
    'failed to find plugin "ipam" in path [/a /b]',
  );
  expect(runtime.entries).toEqual([]);
});

test("a plugin whose own step can't be taken back may have left it, though its IPAM plugin has not begun", async () => {
  const main: Plugin = {
    ...delegating,
    add: (call) => (call.undo.push("link", () => fail("link is stuck")), call.ipam.add(call.undo)),
  };
  const failure = async (plugin: Plugin) => {
    using runtime = testRuntime([plugin]);
    return await invoke(runtime, invocation("main", { config: withIpam })).catch((error: unknown) => error);
  };
  expect(await failure(delegating)).toBeInstanceOf(NotBegunError);
  expect(await failure(main)).toMatchObject({ message: expect.stringContaining('failed to find plugin "ipam"') });
  expect(await failure(main)).not.toBeInstanceOf(NotBegunError);
});

test("an IPAM plugin that refuses its config has given out nothing, and gets no DEL", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime([delegating, recorder("ipam", seen, { parse: () => fail("no ranges") })]);
  await expect(invoke(runtime, invocation("main", { config: withIpam }))).rejects.toThrow(
    expect.objectContaining({ code: 7, message: "no ranges" }),
  );
  expect([seen, runtime.entries]).toEqual([[], []]);
});

test.each(["ADD", "CHECK", "STATUS"] as const)(
  "%s refuses a plugin that is its own IPAM plugin: it would call itself for ever",
  async (verb) => {
    using runtime = testRuntime([{ ...delegating, name: "main" }]);
    const config = { ...withIpam, ipam: { type: "main" }, prevResult: { cniVersion: "1.1.0" } };
    await expect(invoke(runtime, { ...invocation("main", { config }), verb })).rejects.toThrow(
      "$.ipam.type: main gives out no addresses: expected an IPAM plugin such as host-local or static",
    );
  },
);

test("DEL has nothing to take back from an IPAM plugin that is none", async () => {
  using runtime = testRuntime([{ ...delegating, name: "main" }]);
  const config = { ...withIpam, ipam: { type: "main" } };
  expect(await invoke(runtime, { ...invocation("main", { config }), verb: "DEL" })).toBeUndefined();
});

test("CHECK without prevResult reaches a plugin that remembers its results itself, with the empty result, and no other", async () => {
  const seen: Recorded[] = [];
  using runtime = testRuntime([{ ...recorder("keeps", seen), remembersResults: true }, recorder("asks", seen)]);
  const check = (type: string) => invoke(runtime, { ...invocation(type), verb: "CHECK" });
  await check("keeps");
  expect(seen).toMatchObject([{ verb: "CHECK", call: { prevResult: emptyResult } }]);
  await expect(check("asks")).rejects.toThrow("Required prevResult missing");
});
