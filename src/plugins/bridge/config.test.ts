import { describe, expect, test } from "vitest";
import { noArgs, parseArgs } from "../../cni/args.ts";
import { parseNetConf } from "../../cni/net-conf.ts";
import type { Verb } from "../../cni/version.ts";
import type { JsonObject } from "../../json/value.ts";
import { parseConfig } from "./config.ts";

const shared = { cniVersion: "1.1.0", name: "net", type: "bridge" };
const addressed = { ipam: { type: "host-local" } };

function parse(own: JsonObject, args = "", verb: Verb = "ADD") {
  const { conf } = parseNetConf({ ...shared, ...own }, verb);
  const { mac, ...rest } = parseConfig(conf, args === "" ? noArgs : parseArgs(args), verb);
  return { ...rest, mac: mac?.toHex() };
}

const defaults = {
  bridge: "cni0",
  isGateway: false,
  isDefaultGateway: false,
  forceAddress: false,
  ipMasq: false,
  ipMasqBackend: undefined,
  mtu: 0,
  hairpin: false,
  promisc: false,
  vlan: 0,
  trunk: [],
  filtersVlans: false,
  preserveDefaultVlan: false,
  macSpoofCheck: false,
  detectDuplicates: false,
  disableContainerInterface: false,
  portIsolation: false,
  mac: undefined,
  dns: undefined,
};

describe("a bridge config", () => {
  test.each<[string, JsonObject, object]>([
    ["may be empty", {}, {}],
    [
      "may have nulls",
      { bridge: null, mtu: null, vlan: null, vlanTrunk: null, ipMasqBackend: null, dns: null, args: null },
      {},
    ],
    [
      "may set everything",
      {
        bridge: "br-pods",
        isGateway: true,
        forceAddress: true,
        ipMasq: true,
        ipMasqBackend: "nftables",
        mtu: 1400,
        hairpinMode: true,
        vlan: 100,
        vlanTrunk: [{ id: 7 }],
        preserveDefaultVlan: true,
        macspoofchk: true,
        enabledad: true,
        portIsolation: true,
        runtimeConfig: { mac: "02:00:00:00:00:01" },
        dns: { domain: "example.org" },
        ...addressed,
      },
      {
        bridge: "br-pods",
        isGateway: true,
        forceAddress: true,
        ipMasq: true,
        ipMasqBackend: "nftables",
        mtu: 1400,
        hairpin: true,
        vlan: 100,
        trunk: [7],
        filtersVlans: true,
        preserveDefaultVlan: true,
        macSpoofCheck: true,
        detectDuplicates: true,
        portIsolation: true,
        mac: "020000000001",
        dns: { domain: "example.org" },
      },
    ],
    ["that is default gateway is gateway", { isDefaultGateway: true }, { isGateway: true, isDefaultGateway: true }],
    ["has keys in any letter case", { BRIDGE: "br1", IsGateway: true }, { bridge: "br1", isGateway: true }],
    ["may ask for a promiscuous bridge", { promiscMode: true }, { promisc: true }],
    ["may leave the interface down", { disableContainerInterface: true }, { disableContainerInterface: true }],
    ["filters VLANs for an empty trunk", { vlanTrunk: [] }, { filtersVlans: true }],
    ["filters VLANs for a VLAN", { vlan: 4094 }, { vlan: 4094, filtersVlans: true }],
    ["leaves the choice of back end open", { ipMasq: true, ipMasqBackend: "" }, { ipMasq: true }],
    ["minds the back end only when it is used", { ipMasqBackend: "foo" }, {}],
    ["has a name of 15 characters", { bridge: "abcdefghijklmno" }, { bridge: "abcdefghijklmno" }],
  ])("%s", (_, own, want) => {
    expect(parse(own)).toEqual({ ...defaults, ...want });
  });

  const name = "expected an interface name of at most 15 characters";
  test.each<[string, JsonObject, string]>([
    ["no name", { bridge: "" }, `failed to load netconf: $.bridge: ${name}, found ""`],
    [
      "a long name",
      { bridge: "abcdefghijklmnop" },
      `failed to load netconf: $.bridge: ${name}, found "abcdefghijklmnop"`,
    ],
    ["a path for a name", { bridge: "a/b" }, `failed to load netconf: $.bridge: ${name}, found "a/b"`],
    ["a pattern for a name", { bridge: "br%d" }, `failed to load netconf: $.bridge: ${name}, found "br%d"`],
    ["a folder for a name", { bridge: ".." }, `failed to load netconf: $.bridge: ${name}, found ".."`],
    [
      "mtu as text",
      { mtu: "1500" },
      'failed to load netconf: $.mtu: expected an integer from 0 to 65535, found "1500"',
    ],
    ["a negative mtu", { mtu: -1 }, "failed to load netconf: $.mtu: expected an integer from 0 to 65535, found -1"],
    [
      "too large an mtu",
      { mtu: 65_536 },
      "failed to load netconf: $.mtu: expected an integer from 0 to 65535, found 65536",
    ],
    [
      "a switch as text",
      { isGateway: "true" },
      'failed to load netconf: $.isGateway: expected true or false, found "true"',
    ],
    ["vlan as text", { vlan: "7" }, 'failed to load netconf: $.vlan: expected an integer, found "7"'],
    ["a negative vlan", { vlan: -1 }, "invalid VLAN ID -1 (must be between 0 and 4094)"],
    ["too large a vlan", { vlan: 4095 }, "invalid VLAN ID 4095 (must be between 0 and 4094)"],
    [
      "a trunk that is no list",
      { vlanTrunk: {} },
      "failed to load netconf: $.vlanTrunk: expected an array, found an object",
    ],
    [
      "addresses for an interface that stays down",
      { ...addressed, disableContainerInterface: true },
      "cannot use IPAM when DisableContainerInterface flag is set",
    ],
    [
      "hairpin mode on a promiscuous bridge",
      { hairpinMode: true, promiscMode: true },
      "cannot set hairpin mode and promiscuous mode at the same time",
    ],
    [
      "an unknown back end",
      { ipMasq: true, ipMasqBackend: "foo" },
      'unknown ipmasq backend "foo"; expected iptables or nftables',
    ],
    [
      "a gateway whose name would be too long",
      { ...addressed, bridge: "bridge-pods1", vlan: 100, isGateway: true },
      'the gateway of VLAN 100 would be interface bridge-pods1.100, and 15 characters is all that a name may have; shorten "bridge"',
    ],
    [
      "a MAC that is none",
      { runtimeConfig: { mac: "zz" } },
      "invalid args zz for MAC addr: address zz: invalid MAC address; $.runtimeConfig.mac: expected six bytes in hexadecimal such as 02:00:5e:10:00:01",
    ],
    ["dns of another shape", { dns: [] }, "failed to load netconf: $.dns: expected an object, found an array"],
  ])("with %s is refused", (_, own, message) => {
    expect(() => parse(own)).toThrow(expect.objectContaining({ code: 7, message }));
  });

  test("with a long name is fine where the VLAN's gateway is not on it", () => {
    expect(parse({ bridge: "bridge-pods1", vlan: 100, isGateway: true }).vlan).toBe(100);
    expect(parse({ ...addressed, bridge: "bridge-pods1", vlan: 100 }).vlan).toBe(100);
  });
});

describe("vlanTrunk", () => {
  test.each<[string, JsonObject[], number[]]>([
    ["may be empty", [], []],
    ["may have elements that say nothing", [{}], []],
    ["has ranges", [{ minID: 10, maxID: 13 }], [10, 11, 12, 13]],
    ["has ranges of one", [{ minID: 4094, maxID: 4094 }], [4094]],
    ["has ids", [{ id: 5 }, { id: 3 }], [3, 5]],
    ["has ranges with an id", [{ minID: 10, maxID: 12, id: 5 }], [5, 10, 11, 12]],
    ["has each id once", [{ minID: 1, maxID: 3 }, { id: 2 }, { minID: 3, maxID: 4 }], [1, 2, 3, 4]],
  ])("%s", (_, vlanTrunk, trunk) => {
    expect(parse({ vlanTrunk })).toEqual({ ...defaults, trunk, filtersVlans: true });
  });

  const range = (key: string, id: number) =>
    `incorrect trunk ${key} parameter ($.vlanTrunk[0]: expected an id from 1 to 4094, found ${id})`;
  test.each<[string, JsonObject, string]>([
    [
      "a range without an end",
      { minID: 5 },
      "minID and maxID should be configured simultaneously, maxID is missing ($.vlanTrunk[0])",
    ],
    [
      "a range without a beginning",
      { maxID: 5 },
      "minID and maxID should be configured simultaneously, minID is missing ($.vlanTrunk[0])",
    ],
    [
      "a range that ends before it begins",
      { minID: 6, maxID: 5 },
      "minID is greater than maxID in trunk parameter ($.vlanTrunk[0])",
    ],
    ["a negative beginning", { minID: -1, maxID: 5 }, range("minID", -1)],
    ["too large a beginning", { minID: 4095, maxID: 4096 }, range("minID", 4095)],
    ["a negative end", { minID: 5, maxID: -1 }, range("maxID", -1)],
    ["too large an end", { minID: 5, maxID: 4095 }, range("maxID", 4095)],
    ["a zero id", { id: 0 }, range("id", 0)],
    ["a negative id", { id: -1 }, range("id", -1)],
    ["too large an id", { id: 4095 }, range("id", 4095)],
    ["an id as text", { id: "5" }, 'failed to load netconf: $.vlanTrunk[0].id: expected an integer, found "5"'],
  ])("with %s is refused", (_, element, message) => {
    expect(() => parse({ vlanTrunk: [element] })).toThrow(expect.objectContaining({ code: 7, message }));
  });
});

describe("the MAC", () => {
  const args = { args: { cni: { mac: "02:00:00:00:00:02" } } };
  const runtime = { runtimeConfig: { mac: "02:00:00:00:00:03" } };
  test.each<[string, JsonObject, string, string | undefined]>([
    ["is the kernel's choice by default", {}, "", undefined],
    ["may come from CNI_ARGS", {}, "MAC=02:00:00:00:00:01", "020000000001"],
    ["comes from args.cni rather than CNI_ARGS", args, "MAC=02:00:00:00:00:01", "020000000002"],
    ["comes from the runtime rather than args.cni", { ...args, ...runtime }, "MAC=02:00:00:00:00:01", "020000000003"],
    ["does not come from the config itself", { mac: "02:00:00:00:00:04" }, "", undefined],
  ])("%s", (_, own, cniArgs, want) => {
    expect(parse(own, cniArgs).mac).toBe(want);
  });

  test("comes with arguments that are known", () => {
    expect(() => parse({}, "FOO=bar")).toThrow(expect.objectContaining({ code: 4 }));
    expect(parse({}, "FOO=bar;IgnoreUnknown=1").mac).toBeUndefined();
  });
});

test.each<Verb>(["DEL", "GC"])("%s needs no more of the config than what it says of leftovers", (verb) => {
  const odd = { hairpinMode: true, promiscMode: true, ipMasq: true, runtimeConfig: { mac: "zz" }, macspoofchk: true };
  expect(parse(odd, "FOO=bar", verb)).toMatchObject({ ipMasq: true, macSpoofCheck: true, mac: undefined });
});
