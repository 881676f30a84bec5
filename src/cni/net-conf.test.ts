import { expect, test } from "vitest";
import type { JsonObject } from "../json/value.ts";
import { parseConfigText, parseNetConf } from "./net-conf.ts";
import { emptyResult } from "./result.ts";
import { readValidAttachments, withValidAttachments } from "./valid-attachments.ts";
import { isAtLeast, type Verb, versions } from "./version.ts";

const minimal = { cniVersion: "1.1.0", name: "net", type: "macvlan" };

test("the shared keys come back typed in any letter case, the object itself untouched", () => {
  const config = {
    CNIVERSION: "0.4.0",
    Name: "net",
    TYPE: "macvlan",
    IPAM: { Type: "host-local" },
    prevresult: { CNIVersion: "0.3.1", interfaces: [{ name: "eth0" }] },
    mtu: 1500,
  };
  const { conf, warnings } = parseNetConf(config, "ADD");
  expect(warnings).toEqual([]);
  expect(conf).toEqual({
    cniVersion: "0.4.0",
    name: "net",
    type: "macvlan",
    ipamType: "host-local",
    prevResult: { ...emptyResult, interfaces: [{ name: "eth0" }] },
    raw: config,
  });
});

test("a config without version means 0.1.0, and null means absent", () => {
  const want = { cniVersion: "0.1.0", name: "net", type: "", ipamType: "" };
  for (const config of [{ name: "net" }, { name: "net", cniVersion: "", type: null, ipam: null, prevResult: null }]) {
    expect(parseNetConf(config, "ADD").conf).toEqual({ ...want, raw: config });
  }
});

test("text is read too; a comment in it is a warning", () => {
  const { conf, warnings } = parseNetConf('{"name": "net", # mine\n "type": "x"}', "ADD");
  expect(conf.type).toBe("x");
  expect(warnings).toEqual([expect.stringContaining("# mine")]);
});

const refused: readonly (readonly [
  name: string,
  config: string | JsonObject,
  verb: Verb,
  code: number,
  message: RegExp,
])[] = [
  ["nothing", "", "ADD", 6, /^error unmarshall network config: line 1, column 1: /],
  ["no JSON", "{", "DEL", 6, /^error unmarshall network config: /],
  ["trailing garbage", '{"name":"net"} x', "ADD", 6, /^error unmarshall network config: .*column 16/],
  ["no object", "[]", "ADD", 6, /^error unmarshall network config: expected a JSON object/],
  ["null", "null", "ADD", 6, /^error unmarshall network config: expected a JSON object/],
  ["a name that is a number", { name: 1 }, "ADD", 6, /\$\.name: expected a string, found 1/],
  ["no name", {}, "ADD", 7, /^missing network name$/],
  ["an empty name", { name: "" }, "STATUS", 7, /^missing network name$/],
  ["a name with a slash", { name: "a/b" }, "DEL", 7, /^invalid characters found in network name$/],
  ["a version that is a number", { name: "net", cniVersion: 1 }, "ADD", 6, /\$\.cniVersion: expected a string/],
  ["an unknown version", { ...minimal, cniVersion: "9.9.9" }, "ADD", 1, /^incompatible CNI versions$/],
  ["a version with less parts", { ...minimal, cniVersion: "1.0" }, "ADD", 1, /^incompatible CNI versions$/],
  ["junk as version", { ...minimal, cniVersion: "junk" }, "DEL", 1, /^incompatible CNI versions$/],
  ["junk as version at CHECK", { ...minimal, cniVersion: "junk" }, "CHECK", 6, /^invalid version "junk"/],
  ["a version too many at GC", { ...minimal, cniVersion: "1.1.0.0" }, "GC", 6, /^invalid version/],
  ["a future version at STATUS", { ...minimal, cniVersion: "2.0.0" }, "STATUS", 1, /^incompatible CNI versions$/],
  ["a type that is no string", { ...minimal, type: 1 }, "ADD", 7, /^\$\.type: /],
  ["an ipam that is no object", { ...minimal, ipam: "x" }, "ADD", 7, /^\$\.ipam: expected an object/],
  ["an ipam type that is no string", { ...minimal, ipam: { type: 1 } }, "ADD", 7, /^\$\.ipam\.type: /],
  [
    "a prevResult of another family",
    { ...minimal, prevResult: { cniVersion: "0.4.0" } },
    "ADD",
    1,
    /^could not parse prevResult: result type supports/,
  ],
  ["a prevResult that is no object", { ...minimal, prevResult: "x" }, "CHECK", 6, /^could not parse prevResult: \$: /],
];

test.each(refused)("%s is refused", (_, config, verb, code, message) => {
  expect(() => parseNetConf(config, verb)).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) }),
  );
});

test("the details of an unknown version list what the plugin speaks", () => {
  expect(() => parseNetConf({ ...minimal, cniVersion: "0.3.1" }, "ADD", "1.0.0")).toThrow(
    expect.objectContaining({ code: 1, details: 'config is "0.3.1", plugin supports ["1.0.0" "1.1.0"]' }),
  );
});

test("the name is looked at before the version, and the version before the prevResult", () => {
  expect(() => parseNetConf({ cniVersion: "9" }, "ADD")).toThrow("missing network name");
  expect(() => parseNetConf({ ...minimal, cniVersion: "9", prevResult: 1 }, "ADD")).toThrow("incompatible");
});

const since = { ADD: "0.1.0", DEL: "0.1.0", CHECK: "0.4.0", GC: "1.1.0", STATUS: "1.1.0" } as const;
const gates = (["ADD", "DEL", "CHECK", "GC", "STATUS"] as const).flatMap((verb) =>
  versions.map((version) => [verb, version, isAtLeast(version, since[verb])] as const),
);

test.each(gates)("%s of a config of version %s is allowed: %s", (verb, version, allowed) => {
  const parse = () => parseNetConf({ ...minimal, cniVersion: version }, verb).conf.cniVersion;
  if (allowed) expect(parse()).toBe(version);
  else {
    expect(parse).toThrow(expect.objectContaining({ code: 1, message: `config version does not allow ${verb}` }));
  }
});

test.each(["DEL", "GC"] as const)("%s goes on without an ipam that can't be read, STATUS does not", (verb) => {
  const config = { ...minimal, cniVersion: "1.1.0", ipam: [] };
  const { conf, warnings } = parseNetConf(config, verb);
  expect(conf.ipamType).toBe("");
  expect(warnings).toEqual([`${verb} goes on without IPAM: $.ipam: expected an object, found an array`]);
  expect(() => parseNetConf(config, "STATUS")).toThrow("$.ipam: expected an object");
});

test.each(["DEL", "GC", "STATUS"] as const)(
  "%s goes on without a prevResult that can't be read, and says so",
  (verb) => {
    const { conf, warnings } = parseNetConf({ ...minimal, prevResult: { ips: 1 } }, verb);
    expect(conf.prevResult).toBeUndefined();
    expect(warnings).toEqual([
      `${verb} goes on without prevResult: could not parse prevResult: $.ips: expected an array, found 1`,
    ]);
  },
);

const attachment = { containerID: "c1", ifname: "net1" };

test.each([
  ["no list", {}, undefined],
  ["an empty list", { "cni.dev/valid-attachments": [] }, []],
  ["null, as Go writes a list that was never made,", { "cni.dev/valid-attachments": null }, []],
  ["null and a legacy list", { "cni.dev/valid-attachments": null, "cni.dev/attachments": [attachment] }, []],
  ["the list", { "cni.dev/valid-attachments": [attachment] }, [{ containerId: "c1", ifName: "net1" }]],
  ["the legacy list", { "cni.dev/attachments": [attachment] }, [{ containerId: "c1", ifName: "net1" }]],
  ["both", { "cni.dev/attachments": [attachment], "cni.dev/valid-attachments": [] }, []],
])("a GC config with %s gives %j as %j", (_, config, want) => {
  expect(readValidAttachments(config)).toEqual(want);
});

test("a malformed list of valid attachments is refused with its path", () => {
  expect(() => readValidAttachments({ "cni.dev/valid-attachments": [{ ifname: "a" }] })).toThrow(
    expect.objectContaining({
      code: 7,
      message: expect.stringContaining('$["cni.dev/valid-attachments"][0].containerID'),
    }),
  );
});

test("a list of valid attachments is put in under both keys in place of another", () => {
  const config = withValidAttachments({ "CNI.dev/attachments": [], name: "net" }, [
    { containerId: "c1", ifName: "net1" },
  ]);
  expect(config).toEqual({
    name: "net",
    "cni.dev/valid-attachments": [attachment],
    "cni.dev/attachments": [attachment],
  });
});

test("an object that names itself prototype stays data", () => {
  const { config } = parseConfigText('{"name":"net","__proto__":{"type":"x"}}');
  expect(parseNetConf(config, "ADD").conf.type).toBe("");
});
