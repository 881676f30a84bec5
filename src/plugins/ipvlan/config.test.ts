import { describe, expect, test } from "vitest";
import { noArgs, parseArgs } from "../../cni/args.ts";
import { parseNetConf } from "../../cni/net-conf.ts";
import type { Verb } from "../../cni/version.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import type { JsonObject } from "../../json/value.ts";
import { parseConfig } from "./config.ts";

const shared = { cniVersion: "1.1.0", name: "net", type: "ipvlan", ipam: { type: "static" } };

function parse(own: JsonObject, verb: Verb = "ADD", args = "") {
  const { conf } = parseNetConf({ ...shared, ...own }, verb);
  return parseConfig(conf, args === "" ? noArgs : parseArgs(args), verb);
}

const defaults = {
  master: "",
  isMasterNamed: false,
  isMasterInPod: false,
  mode: "l2",
  flag: "bridge",
  mtu: 0,
  detectDuplicates: false,
  dns: undefined,
  inherited: undefined,
  requestedMac: undefined,
};

describe("an ipvlan config", () => {
  test.each<[string, JsonObject, object]>([
    ["may be empty", {}, {}],
    ["may have empty values", { master: "", mode: "", flag: "", mtu: 0 }, {}],
    ["may have nulls", { master: null, mode: null, flag: null, mtu: null, dns: null, runtimeConfig: null }, {}],
    [
      "may set everything",
      {
        master: "eth0",
        mode: "l3s",
        flag: "private",
        mtu: 1400,
        linkInContainer: true,
        enabledad: true,
        dns: { nameservers: ["192.0.2.53"] },
      },
      {
        master: "eth0",
        isMasterNamed: true,
        isMasterInPod: true,
        mode: "l3s",
        flag: "private",
        mtu: 1400,
        detectDuplicates: true,
        dns: { nameservers: ["192.0.2.53"] },
      },
    ],
    [
      "has keys in any letter case",
      { MASTER: "eth0", Mode: "l3" },
      { master: "eth0", isMasterNamed: true, mode: "l3" },
    ],
    ["may know mode l2", { mode: "l2" }, { mode: "l2" }],
    ["may know flag bridge", { flag: "bridge" }, { flag: "bridge" }],
    ["may know flag vepa", { flag: "vepa" }, { flag: "vepa" }],
    ["may have keys of others", { vlan: 5, mac: 7, capabilities: { mac: true } }, {}],
    ["leaves the MTU for the master to judge", { mtu: -1 }, { mtu: -1 }],
  ])("%s", (_, own, want) => {
    expect(parse(own)).toEqual({ ...defaults, ...want });
  });

  test.each<[string, JsonObject, string]>([
    ["mode", { mode: "l4" }, 'unknown ipvlan mode: "l4"; expected one of l2, l3, l3s'],
    ["mode in capitals", { mode: "L2" }, 'unknown ipvlan mode: "L2"; expected one of l2, l3, l3s'],
    ["mode of another type", { mode: 2 }, "failed to load netconf: $.mode: expected a string, found 2"],
    ["flag", { flag: "vpea" }, 'unknown ipvlan flag: "vpea"; expected one of bridge, private, vepa'],
    ["master", { master: 5 }, "failed to load netconf: $.master: expected a string, found 5"],
    ["mtu as text", { mtu: "1500" }, 'failed to load netconf: $.mtu: expected an integer, found "1500"'],
    [
      "linkInContainer",
      { linkInContainer: "yes" },
      'failed to load netconf: $.linkInContainer: expected true or false, found "yes"',
    ],
    ["dns", { dns: [] }, "failed to load netconf: $.dns: expected an object, found an array"],
  ])("with a bad %s is refused", (_, own, message) => {
    expect(() => parse(own)).toThrow(expect.objectContaining({ code: 7, message }));
  });
});

const prev = (own: JsonObject = {}) => ({
  prevResult: { cniVersion: "1.1.0", interfaces: [{ name: "bond0.5" }], ...own },
});

describe("without a master in the config it is", () => {
  test.each<[string, JsonObject, string]>([
    ["the one interface of the previous result", prev(), "bond0.5"],
    ["that one wherever it is", prev({ interfaces: [{ name: "eth1", sandbox: "/x" }] }), "eth1"],
    ["left to the default route where there is no previous result", {}, ""],
  ])("%s", (_, own, want) => {
    expect(parse(own)).toMatchObject({ master: want, isMasterNamed: false });
  });

  test.each<[string, JsonObject, string]>([
    ["none", prev({ interfaces: [] }), "none"],
    ["several", prev({ interfaces: [{ name: "a" }, { name: "b", sandbox: "/x" }] }), "a, b"],
    ["one without a name", prev({ interfaces: [{ name: "" }] }), "none"],
  ])("an error when a previous result has %s", (_, own, names) => {
    const message = `chained master failure. PrevResult lacks a single named interface: it has ${names}; name the device in "master"`;
    expect(() => parse(own)).toThrow(expect.objectContaining({ code: 7, message }));
  });

  test("never taken from there when the config names one", () => {
    expect(parse({ master: "eth0", ...prev({ interfaces: [] }) }).master).toBe("eth0");
  });

  test("not looked for in the result of a whole chain", () => {
    expect(parse(prev({ interfaces: [{ name: "a" }, { name: "b" }] }), "CHECK").master).toBe("");
  });
});

describe("addresses", () => {
  const ips = { ips: [{ address: "192.0.2.5/24" }] };

  test("are the previous result's where no IPAM plugin is named", () => {
    const inherited = (own: JsonObject) => parse(own).inherited?.ips.map(({ address }) => formatPrefix(address));
    expect(inherited({ ipam: null, ...prev(ips) })).toEqual(["192.0.2.5/24"]);
    expect(inherited({ ipam: {}, ...prev(ips) })).toEqual(["192.0.2.5/24"]);
    expect(inherited(prev(ips))).toBeUndefined();
  });

  test("may be none at all only when the config says so", () => {
    const message =
      'no plugin name provided: ipvlan needs "ipam" with the type of an IPAM plugin, or "ipam": {} for an interface without addresses';
    for (const own of [{}, prev()]) {
      expect(() => parse({ ipam: null, ...own })).toThrow(expect.objectContaining({ code: 7, message }));
    }
    expect(parse({ ipam: {} })).toEqual(defaults);
  });

  test.each<Verb>(["CHECK", "DEL", "STATUS"])("are no matter for %s", (verb) => {
    expect(parse({ ipam: null }, verb)).toEqual(defaults);
  });
});

describe("a MAC that somebody asks for", () => {
  test.each<[string, JsonObject, string, string | undefined]>([
    ["is the runtime's", { runtimeConfig: { mac: "02:00:00:00:00:03" } }, "MAC=02:00:00:00:00:02", "02:00:00:00:00:03"],
    ["is that of CNI_ARGS", {}, "K8S_POD_NAME=web;MAC=02:00:00:00:00:02", "02:00:00:00:00:02"],
    ["is nothing", {}, "K8S_POD_NAME=web", undefined],
    ["is nothing when it is empty, or no text", { runtimeConfig: { mac: 7 } }, "MAC=", undefined],
  ])("%s, and is told of: no ipvlan can have it", (_, own, args, want) => {
    expect(parse(own, "ADD", args).requestedMac).toBe(want);
  });
});
