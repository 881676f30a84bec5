import { expect, test } from "vitest";
import { invocation, testRuntime } from "../../cni/call.test-data.ts";
import { invoke } from "../../cni/invoke.ts";
import type { Verb } from "../../cni/version.ts";
import { parseIp } from "../../ip/address.ts";
import { parsePrefix } from "../../ip/prefix.ts";
import type { JsonObject } from "../../json/value.ts";
import { plugin } from "./plugin.ts";

async function call(verb: Verb, more: JsonObject) {
  using runtime = testRuntime([plugin]);
  const config = { cniVersion: "1.1.0", name: "fixed", type: "macvlan", ...more };
  const result = await invoke(runtime, invocation("static", { verb, config }));
  return { result, entries: runtime.entries };
}

const ipam = {
  type: "static",
  addresses: [{ address: "192.0.2.10/24", gateway: "192.0.2.1" }, { address: "2001:db8::10/64" }],
  routes: [{ dst: "::/0" }],
  dns: { domain: "a.test" },
};

test("ADD gives out what is configured", async () => {
  expect((await call("ADD", { ipam })).result).toEqual({
    interfaces: [],
    ips: [
      { address: parsePrefix("192.0.2.10/24"), gateway: parseIp("192.0.2.1") },
      { address: parsePrefix("2001:db8::10/64") },
    ],
    routes: [{ dst: parsePrefix("::/0") }],
    dns: { domain: "a.test" },
  });
});

test("ADD without any address gives an empty result", async () => {
  expect((await call("ADD", { ipam: { type: "static" } })).result).toEqual({
    interfaces: [],
    ips: [],
    routes: [],
    dns: {},
  });
});

test("DEL does not even look at the config", async () => {
  const { entries } = await call("DEL", { ipam: { addresses: "?" } });
  expect(entries).toEqual([]);
});

test.each(["STATUS", "GC"] as const)("%s succeeds: there is no state", async (verb) => {
  await expect(call(verb, { ipam })).resolves.toBeDefined();
});

test.each<[string, JsonObject[], string | undefined, string | undefined]>([
  [
    "all is as configured",
    [{ address: "2001:db8::10/64" }, { address: "192.0.2.10/24", gateway: "192.0.2.1" }],
    undefined,
    undefined,
  ],
  [
    "there is more than configured",
    [
      { address: "192.0.2.10/24", gateway: "192.0.2.1" },
      { address: "2001:db8::10/64", gateway: "2001:db8::1" },
      { address: "203.0.113.1/24" },
    ],
    undefined,
    undefined,
  ],
  [
    "a gateway is another",
    [{ address: "192.0.2.10/24", gateway: "192.0.2.2" }, { address: "2001:db8::10/64" }],
    "static: Failed to match addr 192.0.2.10 on interface net1",
    "expected gateway 192.0.2.1, found 192.0.2.2",
  ],
  [
    "a gateway is missing",
    [{ address: "192.0.2.10/24" }, { address: "2001:db8::10/64" }],
    "static: Failed to match addr 192.0.2.10 on interface net1",
    "expected gateway 192.0.2.1, found none",
  ],
  [
    "an address is missing",
    [{ address: "192.0.2.10/24", gateway: "192.0.2.1" }],
    "static: Failed to find addr 2001:db8::10 on interface net1",
    "addresses in prevResult: 192.0.2.10/24",
  ],
  ["all are missing", [], "static: Failed to find addr 192.0.2.10 on interface net1", "addresses in prevResult: none"],
])("CHECK when %s", async (_, ips, message, details) => {
  const checked = call("CHECK", { ipam, prevResult: { cniVersion: "1.1.0", ips } });
  if (message === undefined) await expect(checked).resolves.toBeDefined();
  else await expect(checked).rejects.toThrow(expect.objectContaining({ message, details }));
});
