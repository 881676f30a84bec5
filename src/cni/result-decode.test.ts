import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatIp, type Ip } from "../ip/address.ts";
import { formatPrefix } from "../ip/prefix.ts";
import type { JsonValue } from "../json/value.ts";
import { decodePrevResult, decodeResult } from "./result-decode.ts";
import { encodeResult } from "./result-encode.ts";
import { emptyResult, type Result } from "./result.ts";
import { type CniVersion, familyOf, isAtLeast, versions } from "./version.ts";

function shape(result: Result) {
  return {
    interfaces: result.interfaces,
    ips: result.ips.map((ip) => ({
      ...ip,
      address: formatPrefix(ip.address),
      ...(ip.gateway && { gateway: formatIp(ip.gateway) }),
    })),
    routes: result.routes.map((each) => ({
      ...each,
      dst: formatPrefix(each.dst),
      ...(each.gw && { gw: formatIp(each.gw) }),
    })),
    dns: result.dns,
  };
}

const nothing = { interfaces: [], ips: [], routes: [], dns: {} };

const decoded: readonly (readonly [name: string, json: JsonValue, version: CniVersion, want: object])[] = [
  ["null is empty", null, "1.0.0", nothing],
  ["an empty object is empty", {}, "0.2.0", nothing],
  ["nulls are absent", { ips: null, interfaces: null, routes: null, dns: null }, "0.4.0", nothing],
  [
    "0.2.0 gives v4 before v6, whatever the order of the keys, and routes in the same order",
    {
      ip6: { ip: "fd00::2/64", routes: [{ dst: "::/0", gw: "fd00::1", mtu: 5 }] },
      ip4: { ip: "10.0.0.2/24", gateway: "10.0.0.1", routes: [{ dst: "0.0.0.0/0" }] },
    },
    "0.2.0",
    {
      ...nothing,
      ips: [{ address: "10.0.0.2/24", gateway: "10.0.0.1" }, { address: "fd00::2/64" }],
      routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0", gw: "fd00::1", mtu: 5 }],
    },
  ],
  [
    "0.4.0 loses ips[].version",
    { cniVersion: "0.4.0", ips: [{ version: "4", interface: 0, address: "10.0.0.2/24", gateway: "" }] },
    "0.4.0",
    { ...nothing, ips: [{ interface: 0, address: "10.0.0.2/24" }] },
  ],
  [
    "a result's own version wins over the config's",
    { cniVersion: "0.2.0", ip4: { ip: "10.0.0.2/24" } },
    "1.0.0",
    { ...nothing, ips: [{ address: "10.0.0.2/24" }] },
  ],
  [
    "keys match in any letter case, host bits and zeros are kept, empty texts are not",
    {
      CNIVersion: "1.1.0",
      Interfaces: [{ Name: "a", mac: "", Sandbox: "/x", mtu: 0 }],
      routes: [{ DST: "10.0.0.5/8", table: 0, scope: 0 }],
      dns: { nameservers: [], domain: "", search: ["a"] },
    },
    "0.1.0",
    {
      ...nothing,
      interfaces: [{ name: "a", sandbox: "/x", mtu: 0 }],
      routes: [{ dst: "10.0.0.5/8", table: 0, scope: 0 }],
      dns: { search: ["a"] },
    },
  ],
];

test.each(decoded)("%s", (_, json, version, want) => {
  expect(shape(decodeResult(json, version))).toEqual(want);
});

const refused: readonly (readonly [name: string, json: JsonValue, code: number, message: string | RegExp])[] = [
  ["no object", ["x"], 6, /^\$: expected an object/],
  ["an address without length", { ips: [{ address: "10.0.0.2" }] }, 6, /^\$\.ips\[0\]\.address: /],
  ["no address", { ips: [{ interface: 0 }] }, 6, /^\$\.ips\[0\]\.address: /],
  ["a gateway that is none", { ips: [{ address: "10.0.0.2/8", gateway: "x" }] }, 6, /^\$\.ips\[0\]\.gateway: /],
  ["a fraction", { routes: [{ dst: "10.0.0.0/8", mtu: 1.5 }] }, 6, /^\$\.routes\[0\]\.mtu: /],
  ["an unknown version", { cniVersion: "9.9.9" }, 1, 'unsupported CNI result version "9.9.9"'],
  ["a version that is no string", { cniVersion: 1 }, 6, "$.cniVersion: expected a string"],
];

test.each(refused)("%s is refused", (_, json, code, message) => {
  expect(() => decodeResult(json, "1.0.0")).toThrow(
    expect.objectContaining({ code, message: typeof message === "string" ? message : expect.stringMatching(message) }),
  );
});

test("a prevResult must be of its config's family of versions; without a version it inherits the config's", () => {
  for (const config of versions) {
    expect(decodePrevResult({}, config)).toEqual(emptyResult);
    expect(decodePrevResult({ cniVersion: "" }, config)).toEqual(emptyResult);
    for (const named of versions) {
      const decode = () => decodePrevResult({ cniVersion: named }, config);
      if (familyOf(config).includes(named)) expect(decode()).toEqual(emptyResult);
      else expect(decode).toThrow(expect.objectContaining({ code: 1 }));
    }
  }
});

test.each([
  ["0.2.0", "1.0.0", `[ 0.1.0 0.2.0] but unmarshalled CNIVersion is "1.0.0"`],
  ["0.3.1", "1.0.0", `[0.3.0 0.3.1 0.4.0] but unmarshalled CNIVersion is "1.0.0"`],
  ["1.1.0", "0.4.0", `[1.0.0 1.1.0] but unmarshalled CNIVersion is "0.4.0"`],
] as const)("config %s with prevResult %s names both as upstream does", (config, named, want) => {
  expect(() => decodePrevResult({ cniVersion: named }, config)).toThrow(
    `could not parse prevResult: result type supports ${want}`,
  );
});

const ip = (family: 4 | 6): fc.Arbitrary<Ip> =>
  fc
    .bigInt({ min: 0n, max: (1n << (family === 4 ? 32n : 128n)) - 1n })
    // An IPv4-mapped address reads back as the IPv4 address that it is.
    .filter((value) => family === 4 || value >> 32n !== 0xffffn)
    .map((value) => ({ family, value }));
const anyIp = fc.oneof(ip(4), ip(6));
const prefix = anyIp.chain((each) =>
  fc.integer({ min: 0, max: each.family === 4 ? 32 : 128 }).map((bits) => ({ ip: each, bits })),
);
const word = fc.string({ minLength: 1, unit: "binary" });
const positive = fc.integer({ min: 1, max: 2 ** 31 });
const optional = { requiredKeys: [] };
const result: fc.Arbitrary<Result> = fc.record({
  interfaces: fc.array(
    fc.record(
      { name: word, mac: word, mtu: positive, sandbox: word, socketPath: word, pciID: word },
      { requiredKeys: ["name"] },
    ),
  ),
  ips: fc.array(fc.record({ address: prefix, gateway: anyIp, interface: fc.nat() }, { requiredKeys: ["address"] })),
  routes: fc.array(
    fc.record(
      { dst: prefix, gw: anyIp, mtu: positive, advmss: positive, priority: positive, table: fc.nat(), scope: fc.nat() },
      { requiredKeys: ["dst"] },
    ),
  ),
  dns: fc.record(
    {
      nameservers: fc.array(word, { minLength: 1 }),
      domain: word,
      search: fc.array(word, { minLength: 1 }),
      options: fc.array(word, { minLength: 1 }),
    },
    optional,
  ),
});

test("what 1.x prints reads back as it was, and below that all but what the version has no key for", () => {
  fc.assert(
    fc.property(result, fc.constantFrom(...versions), (given, version) => {
      fc.pre(isAtLeast(version, "0.3.0"));
      const back = decodeResult(JSON.parse(JSON.stringify(encodeResult(given, version))) as JsonValue, version);
      const interfaces = given.interfaces.map(({ name, mac, sandbox }) => ({
        name,
        ...(mac !== undefined && { mac }),
        ...(sandbox !== undefined && { sandbox }),
      }));
      expect(back).toEqual(isAtLeast(version, "1.0.0") ? given : { ...given, interfaces });
    }),
  );
});

test("printing what was read from print gives the same bytes, in every version", () => {
  fc.assert(
    fc.property(result, fc.constantFrom(...versions), (given, version) => {
      fc.pre(isAtLeast(version, "0.3.0") || given.ips.length > 0);
      const once = encodeResult(given, version);
      const again = encodeResult(decodeResult(once, version), version);
      expect(JSON.stringify(again)).toBe(JSON.stringify(once));
    }),
  );
});
