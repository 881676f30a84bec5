import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { invocation, testRuntime } from "../../cni/call.test-data.ts";
import { invoke } from "../../cni/invoke.ts";
import type { Verb } from "../../cni/version.ts";
import { formatIp } from "../../ip/address.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import type { JsonObject } from "../../json/value.ts";
import { plugin } from "./plugin.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-host-local-"));
const directory = join(folder, "pool");

beforeEach(() => rmSync(directory, { recursive: true, force: true }));
afterAll(() => rmSync(folder, { recursive: true }));

interface Options {
  readonly ifName?: string;
  readonly args?: string;
  /** Members of the config besides the shared ones. */
  readonly config?: JsonObject;
}

const small: JsonObject = { ranges: [[{ subnet: "192.0.2.0/29" }]] };
const dual: JsonObject = { ranges: [[{ subnet: "192.0.2.0/29" }], [{ subnet: "2001:db8::/64" }]] };

/** One call of the plugin for a container, with `ipam` as the network's. */
async function call(verb: Verb, containerId: string, ipam: JsonObject = small, options: Options = {}) {
  using runtime = testRuntime([plugin]);
  const config = { cniVersion: "1.1.0", name: "pool", type: "macvlan", ...options.config };
  const { ifName = "eth0", args = "" } = options;
  const whole = { ...config, ipam: { type: "host-local", dataDir: folder, ...ipam } };
  return invoke(runtime, invocation("host-local", { verb, containerId, ifName, args, config: whole }));
}

/** The addresses that an ADD gives. */
async function add(containerId: string, ipam: JsonObject = small, options: Options = {}): Promise<string[]> {
  const result = await call("ADD", containerId, ipam, options);
  return result!.ips.map(({ address, gateway }) => `${formatPrefix(address)} via ${formatIp(gateway!)}`);
}

const leases = () =>
  (existsSync(directory) ? readdirSync(directory) : []).filter((name) => /^[\da-f]+[.:]/.test(name)).sort();

const contentOf = (name: string) => readFileSync(join(directory, name), "utf8");

function lease(name: string, content: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, name), content);
}

test("ADD leases an address of each set, in their order, and DEL gives all back", async () => {
  const config = { dns: { nameservers: ["203.0.113.1"] } };
  const result = await call(
    "ADD",
    "a",
    { ...dual, routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0", mtu: 1400 }] },
    { config },
  );
  expect(result!.ips.map(({ address }) => formatPrefix(address))).toEqual(["192.0.2.2/29", "2001:db8::2/64"]);
  expect(result!.ips.map(({ gateway }) => formatIp(gateway!))).toEqual(["192.0.2.1", "2001:db8::1"]);
  expect(result!.routes.map(({ dst, mtu }) => [formatPrefix(dst), mtu])).toEqual([
    ["0.0.0.0/0", undefined],
    ["::/0", 1400],
  ]);
  // The network's own dns is the main plugin's business.
  expect(result).toMatchObject({ interfaces: [], dns: {} });
  expect(contentOf("192.0.2.2")).toBe("a\r\neth0");
  expect([contentOf("last_reserved_ip.0"), contentOf("last_reserved_ip.1")]).toEqual(["192.0.2.2", "2001:db8::2"]);
  await call("DEL", "a", dual);
  expect(leases()).toEqual([]);
  expect(contentOf("last_reserved_ip.0")).toBe("192.0.2.2");
  await call("DEL", "a", dual);
});

test("addresses go round: one that was given back comes last", async () => {
  expect(await add("a")).toEqual(["192.0.2.2/29 via 192.0.2.1"]);
  await call("DEL", "a");
  expect(await add("b")).toEqual(["192.0.2.3/29 via 192.0.2.1"]);
  expect(await add("b", small, { ifName: "net1" })).toEqual(["192.0.2.4/29 via 192.0.2.1"]);
  await add("c");
  await add("d");
  expect(await add("e")).toEqual(["192.0.2.2/29 via 192.0.2.1"]);
  await expect(add("f")).rejects.toThrow(expect.objectContaining({ code: 50 }));
  await call("DEL", "b", small, { ifName: "net1" });
  expect(await add("f")).toEqual(["192.0.2.4/29 via 192.0.2.1"]);
});

test("ADD reads resolv.conf", async () => {
  writeFileSync(join(folder, "resolv.conf"), "nameserver 192.0.2.53\nsearch a.test\n");
  const result = await call("ADD", "a", { ...small, resolvConf: join(folder, "resolv.conf") });
  expect(result?.dns).toEqual({ nameservers: ["192.0.2.53"], search: ["a.test"] });
  await expect(call("ADD", "b", { ...small, resolvConf: join(folder, "missing") })).rejects.toThrow(
    expect.objectContaining({ code: 5, message: `open ${folder}/missing: no such file or directory` }),
  );
  expect(leases()).toEqual(["192.0.2.2"]);
});

test.each<[string, JsonObject, Options, string[]]>([
  ["CNI_ARGS", small, { args: "IgnoreUnknown=1;K8S_POD_NAME=x;IP=192.0.2.5" }, ["192.0.2.5/29 via 192.0.2.1"]],
  [
    "args, whose prefix length does not count",
    small,
    { config: { args: { cni: { ips: ["192.0.2.5/24"] } } } },
    ["192.0.2.5/29 via 192.0.2.1"],
  ],
  ["the runtime", small, { config: { runtimeConfig: { ips: ["192.0.2.5"] } } }, ["192.0.2.5/29 via 192.0.2.1"]],
  [
    "args, of one set of two",
    dual,
    { config: { args: { cni: { ips: ["2001:db8::abcd"] } } } },
    ["192.0.2.2/29 via 192.0.2.1", "2001:db8::abcd/64 via 2001:db8::1"],
  ],
  [
    "all of them, of both families, in any order",
    dual,
    { args: "IP=2001:DB8::5", config: { args: { cni: { ips: ["192.0.2.6"] } } } },
    ["192.0.2.6/29 via 192.0.2.1", "2001:db8::5/64 via 2001:db8::1"],
  ],
  [
    "the runtime, of its own ranges",
    small,
    { config: { runtimeConfig: { ipRanges: [[{ subnet: "198.51.100.0/24" }]], ips: ["198.51.100.9", "192.0.2.5"] } } },
    ["198.51.100.9/24 via 198.51.100.1", "192.0.2.5/29 via 192.0.2.1"],
  ],
  [
    "args, from the second range of a set",
    { ranges: [[{ subnet: "192.0.2.0/29" }, { subnet: "198.51.100.0/24", gateway: "198.51.100.254" }]] },
    { args: "IP=198.51.100.1" },
    ["198.51.100.1/24 via 198.51.100.254"],
  ],
])("ADD leases the address that is asked for by %s", async (_, ipam, options, want) => {
  expect(await add("a", ipam, options)).toEqual(want);
});

test("the round goes on behind a requested address", async () => {
  await add("a", small, { args: "IP=192.0.2.5" });
  expect(await add("b")).toEqual(["192.0.2.6/29 via 192.0.2.1"]);
});

test.each<[string, JsonObject, Options, number, string, string]>([
  [
    "is the gateway",
    small,
    { args: "IP=192.0.2.1" },
    7,
    "failed to allocate for range 0: requested ip 192.0.2.1 is subnet's gateway",
    "",
  ],
  [
    "is in no range",
    dual,
    { config: { args: { cni: { ips: ["198.51.100.7", "2001:db9::1"] } } } },
    7,
    "failed to allocate all requested IPs: 198.51.100.7 2001:db9::1",
    "one address is leased from each of the range sets 192.0.2.1-192.0.2.6 and 2001:db8::1-2001:db8::ffff:ffff:ffff:ffff",
  ],
  [
    "is one too many for its set",
    small,
    { config: { args: { cni: { ips: ["192.0.2.5", "192.0.2.6"] } } } },
    7,
    "failed to allocate all requested IPs: 192.0.2.6",
    "one address is leased from each of the range sets 192.0.2.1-192.0.2.6",
  ],
  [
    "is before the range",
    { ranges: [[{ subnet: "192.0.2.0/29", rangeStart: "192.0.2.4" }]] },
    { args: "IP=192.0.2.3" },
    7,
    "failed to allocate all requested IPs: 192.0.2.3",
    "one address is leased from each of the range sets 192.0.2.4-192.0.2.6",
  ],
])(
  "a requested address that %s is refused, and nothing is leased",
  async (_, ipam, options, code, message, details) => {
    await expect(add("a", ipam, options)).rejects.toThrow(expect.objectContaining({ code, message, details }));
    expect(leases()).toEqual([]);
  },
);

test("a requested address that somebody has names the holder", async () => {
  await add("a", small, { ifName: "net7", args: "IP=192.0.2.5" });
  await expect(add("b", dual, { args: "IP=192.0.2.5" })).rejects.toThrow(
    expect.objectContaining({
      code: 11,
      message:
        "failed to allocate for range 0: requested IP address 192.0.2.5 is not available in range set 192.0.2.1-192.0.2.6",
      details: expect.stringMatching(/^held by container a, interface net7, since \d{4}-\d\d-\d\dT[\d:.]+Z$/),
    }),
  );
});

test("a set that is used up names holders, and what was leased from other sets is given back", async () => {
  const ipam = { ranges: [[{ subnet: "2001:db8::/64" }], [{ subnet: "192.0.2.0/29", rangeEnd: "192.0.2.5" }]] };
  for (const id of ["a", "b", "c", "d"]) await add(id, { ranges: ipam.ranges.slice(1) });
  await expect(add("e", ipam)).rejects.toThrow(
    expect.objectContaining({
      code: 50,
      message: "failed to allocate for range 1: no IP addresses available in range set: 192.0.2.1-192.0.2.5",
      details:
        "its 4 addresses are leased: 192.0.2.2 by container a, interface eth0; 192.0.2.3 by container b, interface eth0; " +
        "192.0.2.4 by container c, interface eth0; and so on",
    }),
  );
  expect(leases()).toEqual(["192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"]);
});

test("a range of nothing but the gateway is used up from the start", async () => {
  const ipam = { subnet: "192.0.2.0/29", rangeEnd: "192.0.2.1" };
  const want = { code: 50, details: "it has nothing but its gateway" };
  await expect(add("a", ipam)).rejects.toThrow(expect.objectContaining(want));
  await expect(call("STATUS", "", ipam)).rejects.toThrow(expect.objectContaining(want));
});

test("empty files that a crash left do not use up a range", async () => {
  await add("a");
  for (const host of [3, 4, 5, 6]) lease(`192.0.2.${host}`, "");
  expect(await add("b")).toEqual(["192.0.2.3/29 via 192.0.2.1"]);
  // As after a power cut: the folder did not change, the files lost their content.
  for (const host of [4, 5, 6]) await add(`c${host}`);
  for (const host of [4, 5, 6]) lease(`192.0.2.${host}`, "");
  await expect(call("STATUS", "")).resolves.toBeUndefined();
  expect(await add("d")).toEqual(["192.0.2.4/29 via 192.0.2.1"]);
  lease("192.0.2.4", "\0\0");
  expect(await add("e", small, { args: "IP=192.0.2.4" })).toEqual(["192.0.2.4/29 via 192.0.2.1"]);
});

test.each([
  ["", "a\r\neth0"],
  [" by an old version", "a"],
])("a second ADD for the same attachment is refused%s", async (_, content) => {
  lease("192.0.2.4", content);
  await expect(add("a")).rejects.toThrow(
    expect.objectContaining({
      code: 4,
      message: "failed to allocate for range 0: 192.0.2.4 has been allocated to a, duplicate allocation is not allowed",
    }),
  );
  expect(await add("a", { subnet: "198.51.100.0/24" })).toEqual(["198.51.100.2/24 via 198.51.100.1"]);
});

test("DEL gives back leases of old versions, of the same container only", async () => {
  lease("192.0.2.4", "a\n");
  lease("192.0.2.5", "b\n");
  await call("DEL", "a");
  expect(leases()).toEqual(["192.0.2.5"]);
});

test.each<[string, JsonObject, JsonObject]>([
  ["without ranges", {}, {}],
  ["with other ranges", { subnet: "198.51.100.0/24" }, {}],
  ["with broken ranges", { ranges: "?" }, {}],
  ["with a broken prevResult", small, { prevResult: { ips: 5 } }],
])("DEL works with a config %s", async (_, ipam, config) => {
  await add("a", dual);
  await call("DEL", "a", ipam, { config });
  expect(leases()).toEqual([]);
});

test("DEL of what is unknown succeeds, and makes nothing", async () => {
  await call("DEL", "a");
  expect(existsSync(directory)).toBe(false);
  await add("b");
  await call("DEL", "a");
  await call("DEL", "b", small, { ifName: "net1" });
  expect(leases()).toEqual(["192.0.2.2"]);
});

const resultOf = (...addresses: string[]): Options => ({
  config: { prevResult: { cniVersion: "1.1.0", ips: addresses.map((address) => ({ address })) } },
});

test.each<[string, string, Options]>([
  ["the lease is there", "a\r\neth0", resultOf("192.0.2.4/29")],
  ["it is one of an old version", "a", resultOf("192.0.2.4/29")],
  ["there are other addresses that are not ours", "a\r\neth0", resultOf("192.0.2.4/29", "203.0.113.1/24")],
  ["the result names none", "a\r\neth0", resultOf()],
])("CHECK is content when %s", async (_, content, options) => {
  lease("192.0.2.4", content);
  await expect(call("CHECK", "a", small, options)).resolves.toBeUndefined();
});

test.each<[string, string | undefined, Options, string, string]>([
  ["there was never a lease", undefined, resultOf("192.0.2.4/29"), "", `no lease of interface eth0 in ${directory}`],
  ["the lease is another's", "b\r\neth0", resultOf("192.0.2.4/29"), "", `no lease of interface eth0 in ${directory}`],
  [
    "one of two is missing",
    "a\r\neth0",
    resultOf("192.0.2.4/29", "192.0.2.5/29"),
    ": 192.0.2.5",
    "192.0.2.5 is not leased; interface eth0 needs it",
  ],
  [
    "one of two is another's",
    "a\r\neth0",
    resultOf("192.0.2.4/29", "192.0.2.6/29"),
    ": 192.0.2.6",
    "192.0.2.6 is held by container other, interface net1; interface eth0 needs it",
  ],
])("CHECK complains when %s", async (_, content, options, suffix, details) => {
  if (content !== undefined) lease("192.0.2.4", content);
  if (content !== undefined) lease("192.0.2.6", "other\r\nnet1");
  const message = `host-local: Failed to find address added by container a${suffix}`;
  await expect(call("CHECK", "a", small, options)).rejects.toThrow(expect.objectContaining({ message, details }));
});

test("STATUS is content while every set has an address, and 50 when one has none", async () => {
  const ipam = { ranges: [[{ subnet: "2001:db8::/64" }], [{ subnet: "192.0.2.0/30" }]] };
  await call("STATUS", "", ipam);
  await add("a", ipam);
  await expect(call("STATUS", "", ipam)).rejects.toThrow(
    expect.objectContaining({
      code: 50,
      message: "no IP addresses available in range set: 192.0.2.1-192.0.2.2",
      details: "its 1 addresses are leased: 192.0.2.2 by container a, interface eth0",
    }),
  );
  await call("DEL", "a", ipam);
  await call("STATUS", "", ipam);
});

test("STATUS is 50 when the folder of leases can't be used", async () => {
  writeFileSync(join(folder, "file"), "");
  const message = expect.stringMatching(/^ipam.dataDir is not usable: .*not a directory$/);
  const failed = call("STATUS", "", { ...small, dataDir: join(folder, "file") });
  await expect(failed).rejects.toThrow(expect.objectContaining({ code: 50, message }));
});

test("STATUS refuses a config that no ADD could be served with", async () => {
  await expect(call("STATUS", "", {})).rejects.toThrow(expect.objectContaining({ code: 7 }));
});

const gc = (ipam: JsonObject, ...valid: (readonly [containerID: string, ifname: string])[]) =>
  call("GC", "", ipam, {
    config: { "cni.dev/valid-attachments": valid.map(([containerID, ifname]) => ({ containerID, ifname })) },
  });

test.each<[string, JsonObject]>([
  ["a usable config", small],
  ["a config that no longer parses", { subnet: "?" }],
])("GC with %s removes leases that nobody knows, and nothing else", async (_, ipam) => {
  await add("a", dual);
  await add("a", dual, { ifName: "net1" });
  await add("b", dual);
  lease("192.0.2.5", "a");
  lease("192.0.2.6", "gone\n");
  lease("192.0.2.7", "# the printer");
  lease("192.0.2.8", "");
  await gc(ipam, ["a", "eth0"]);
  expect(leases()).toEqual(["192.0.2.2", "192.0.2.5", "192.0.2.7", "2001:db8::2"]);
  expect(contentOf("last_reserved_ip.0")).toBe("192.0.2.4");
  expect(existsSync(join(directory, "lock"))).toBe(true);
  await gc(ipam);
  expect(leases()).toEqual(["192.0.2.7"]);
  await call("DEL", "a");
  expect(await add("c")).toEqual(["192.0.2.5/29 via 192.0.2.1"]);
});

test("GC without a list, or of a network without leases, does nothing", async () => {
  await gc(small);
  expect(existsSync(directory)).toBe(false);
  await add("a");
  await call("GC", "");
  expect(leases()).toEqual(["192.0.2.2"]);
});

test("a network's leases are its own", async () => {
  await add("a", { subnet: "192.0.2.0/29" });
  const other = await call("ADD", "a", { subnet: "192.0.2.0/29" }, { config: { name: "other" } });
  expect(other?.ips.map(({ address }) => formatPrefix(address))).toEqual(["192.0.2.2/29"]);
  await call("DEL", "a", {}, { config: { name: "other" } });
  expect(leases()).toEqual(["192.0.2.2"]);
});

test("an ADD that fails half way gives its lease back; a failed system call is code 5 and names the file", async () => {
  mkdirSync(join(directory, "last_reserved_ip.0"), { recursive: true });
  await expect(add("a", small, { args: "IP=192.0.2.5" })).rejects.toThrow(
    expect.objectContaining({
      code: 5,
      message: `failed to allocate for range 0: open ${directory}/last_reserved_ip.0: is a directory`,
    }),
  );
  expect(leases()).toEqual([]);
});
