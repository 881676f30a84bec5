import { describe, expect, test } from "vitest";
import { noArgs, parseArgs } from "../../cni/args.ts";
import { parseNetConf } from "../../cni/net-conf.ts";
import type { Verb } from "../../cni/version.ts";
import type { JsonObject } from "../../json/value.ts";
import { parseConfig } from "./config.ts";

const shared = { cniVersion: "1.1.0", name: "net", type: "vlan", master: "eth0", ipam: { type: "static" } };

function parse(own: JsonObject, verb: Verb = "ADD", args = "") {
  const { conf } = parseNetConf({ ...shared, ...own }, verb);
  return parseConfig(conf, args === "" ? noArgs : parseArgs(args), verb);
}

const defaults = {
  master: "eth0",
  isMasterNamed: true,
  isMasterInPod: false,
  id: 0,
  mtu: 0,
  detectDuplicates: false,
  dns: undefined,
  requestedMac: undefined,
};

describe("a vlan config", () => {
  test.each<[string, JsonObject, object]>([
    ["needs a master and nothing else", {}, {}],
    ["may have empty values", { vlanId: 0, mtu: 0 }, {}],
    ["may have nulls", { vlanId: null, mtu: null, dns: null, runtimeConfig: null }, {}],
    [
      "may set everything",
      {
        vlanId: 100,
        mtu: 1400,
        linkInContainer: true,
        enabledad: true,
        dns: { nameservers: ["192.0.2.53"] },
        runtimeConfig: { mac: "02:00:00:00:00:03" },
      },
      {
        id: 100,
        mtu: 1400,
        isMasterInPod: true,
        detectDuplicates: true,
        dns: { nameservers: ["192.0.2.53"] },
        requestedMac: "02:00:00:00:00:03",
      },
    ],
    ["has keys in any letter case", { VLANID: 7 }, { id: 7 }],
    ["may have the first id", { vlanId: 1 }, { id: 1 }],
    ["may have the last id", { vlanId: 4094 }, { id: 4094 }],
    ["may have keys of others", { vlan: 5, mode: 7 }, {}],
    ["leaves the MTU for the master to judge", { mtu: -1 }, { mtu: -1 }],
  ])("%s", (_, own, want) => {
    expect(parse(own)).toEqual({ ...defaults, ...want });
  });

  test.each<[string, JsonObject, string]>([
    ["id that is reserved", { vlanId: 4095 }, "invalid VLAN ID 4095 (must be between 0 and 4094)"],
    ["id below 0", { vlanId: -1 }, "invalid VLAN ID -1 (must be between 0 and 4094)"],
    ["id as text", { vlanId: "100" }, 'failed to load netconf: $.vlanId: expected an integer, found "100"'],
    ["master of another type", { master: 5 }, "failed to load netconf: $.master: expected a string, found 5"],
    ["mtu as text", { mtu: "1500" }, 'failed to load netconf: $.mtu: expected an integer, found "1500"'],
    ["dns", { dns: [] }, "failed to load netconf: $.dns: expected an object, found an array"],
    [
      "ipam that is missing",
      { ipam: null },
      'no plugin name provided: vlan needs "ipam" with the type of an IPAM plugin, or "ipam": {} for an interface without addresses',
    ],
  ])("with a bad %s is refused", (_, own, message) => {
    expect(() => parse(own)).toThrow(expect.objectContaining({ code: 7, message }));
  });
});

describe("a master that the config does not name", () => {
  const prev = (...interfaces: JsonObject[]) => ({ master: "", prevResult: { cniVersion: "1.1.0", interfaces } });

  test.each<[string, JsonObject, string]>([
    ["is the one interface of the previous result", prev({ name: "bond0" }), "bond0"],
    [
      "is in the pod when it is to be there",
      { linkInContainer: true, ...prev({ name: "eth1", sandbox: "/x" }) },
      "eth1",
    ],
  ])("%s", (_, own, want) => {
    expect(parse(own)).toMatchObject({ master: want, isMasterNamed: false });
  });

  test.each<[string, JsonObject]>([
    ["without a previous result", { master: "" }],
    ["when that one is in the pod and should not be", prev({ name: "eth1", sandbox: "/x" })],
    ["when there are several", prev({ name: "a" }, { name: "b" })],
    ["when there is none", prev()],
  ])("is an error %s", (_, own) => {
    const message = expect.stringMatching(
      /^"master" field is required\. It specifies the host interface name to create the VLAN for; only/,
    ) as string;
    expect(() => parse(own)).toThrow(expect.objectContaining({ code: 7, message }));
  });

  test.each<Verb>(["CHECK", "DEL", "STATUS"])("is no matter for %s, and neither is a missing ipam", (verb) => {
    expect(parse({ master: "", ipam: null }, verb)).toEqual({ ...defaults, master: "", isMasterNamed: false });
  });
});
