import { describe, expect, test } from "vitest";
import { noArgs, parseArgs } from "../../cni/args.ts";
import { parseNetConf } from "../../cni/net-conf.ts";
import type { Verb } from "../../cni/version.ts";
import type { JsonObject } from "../../json/value.ts";
import { parseConfig } from "./config.ts";

const shared = { cniVersion: "1.1.0", name: "net", type: "macvlan" };

function parse(own: JsonObject, args = "", verb: Verb = "ADD") {
  const { conf } = parseNetConf({ ...shared, ...own }, verb);
  const { mac, ...rest } = parseConfig(conf, args === "" ? noArgs : parseArgs(args), verb);
  return { ...rest, mac: mac?.toHex() };
}

const defaults = {
  master: undefined,
  isMasterNamed: false,
  isMasterInPod: false,
  mode: "bridge",
  mtu: 0,
  mac: undefined,
  broadcastQueueLength: undefined,
  detectDuplicates: false,
  dns: undefined,
};

describe("a macvlan config", () => {
  test.each<[string, JsonObject, Partial<typeof defaults> | object]>([
    ["may be empty", {}, {}],
    ["may have empty values", { master: "", mode: "", mtu: 0, mac: "", bcqueuelen: 0 }, {}],
    ["may have nulls", { master: null, mode: null, mtu: null, mac: null, dns: null, runtimeConfig: null }, {}],
    [
      "may set everything",
      {
        master: "eth0",
        mode: "private",
        mtu: 1400,
        mac: "02:00:00:00:00:01",
        linkInContainer: true,
        bcqueuelen: 5000,
        enabledad: true,
        dns: { nameservers: ["192.0.2.53"] },
      },
      {
        master: "eth0",
        isMasterNamed: true,
        isMasterInPod: true,
        mode: "private",
        mtu: 1400,
        mac: "020000000001",
        broadcastQueueLength: 5000,
        detectDuplicates: true,
        dns: { nameservers: ["192.0.2.53"] },
      },
    ],
    ["has keys in any letter case", { MASTER: "eth0", Mtu: 9000 }, { master: "eth0", isMasterNamed: true, mtu: 9000 }],
    ["may know mode bridge", { mode: "bridge" }, { mode: "bridge" }],
    ["may know mode vepa", { mode: "vepa" }, { mode: "vepa" }],
    ["may know mode passthru", { mode: "passthru" }, { mode: "passthru" }],
    ["may have keys of others", { vlan: 5, ipam: { type: "static" }, capabilities: { mac: true } }, {}],
    ["leaves the MTU for the master to judge", { mtu: -1 }, { mtu: -1 }],
    ["takes the longest queue", { bcqueuelen: 4_294_967_295 }, { broadcastQueueLength: 4_294_967_295 }],
  ])("%s", (_, own, want) => {
    expect(parse(own)).toEqual({ ...defaults, ...want });
  });

  test.each<[string, JsonObject, string]>([
    ["mode", { mode: "zzz" }, 'unknown macvlan mode: "zzz"; expected one of bridge, private, vepa, passthru'],
    [
      "mode source, which needs a list of MACs",
      { mode: "source" },
      'unknown macvlan mode: "source"; expected one of bridge, private, vepa, passthru',
    ],
    ["mode of another type", { mode: 1 }, "failed to load netconf: $.mode: expected a string, found 1"],
    ["master", { master: 5 }, "failed to load netconf: $.master: expected a string, found 5"],
    ["mtu as text", { mtu: "1500" }, 'failed to load netconf: $.mtu: expected an integer, found "1500"'],
    ["mtu with a fraction", { mtu: 1500.5 }, "failed to load netconf: $.mtu: expected an integer, found 1500.5"],
    [
      "mac",
      { mac: "xx" },
      "invalid args xx for MAC addr: address xx: invalid MAC address; $.mac: expected six bytes in hexadecimal such as 02:00:5e:10:00:01",
    ],
    [
      "mac of the runtime",
      { runtimeConfig: { mac: "01:00:5e:00:00:01" } },
      "invalid args 01:00:5e:00:00:01 for MAC addr: address 01:00:5e:00:00:01: invalid MAC address; $.runtimeConfig.mac: a multicast address can't be a device's own: the first byte must be even, as in 00:00:5e:00:00:01",
    ],
    [
      "bcqueuelen below 0",
      { bcqueuelen: -1 },
      "failed to load netconf: $.bcqueuelen: expected an integer from 0 to 4294967295, found -1",
    ],
    [
      "bcqueuelen above 32 bits",
      { bcqueuelen: 4_294_967_296 },
      "failed to load netconf: $.bcqueuelen: expected an integer from 0 to 4294967295, found 4294967296",
    ],
    [
      "linkInContainer",
      { linkInContainer: "yes" },
      'failed to load netconf: $.linkInContainer: expected true or false, found "yes"',
    ],
    ["enabledad", { enabledad: 1 }, "failed to load netconf: $.enabledad: expected true or false, found 1"],
    ["dns", { dns: [] }, "failed to load netconf: $.dns: expected an object, found an array"],
    [
      "dns servers",
      { dns: { nameservers: [53] } },
      "failed to load netconf: $.dns.nameservers[0]: expected a string, found 53",
    ],
    ["runtimeConfig", { runtimeConfig: "x" }, 'failed to load netconf: $.runtimeConfig: expected an object, found "x"'],
  ])("with a bad %s is refused", (_, own, message) => {
    expect(() => parse(own)).toThrow(expect.objectContaining({ code: 7, message }));
  });
});

describe("the MAC", () => {
  const config = { mac: "02:00:00:00:00:01" };
  const runtime = { ...config, runtimeConfig: { mac: "02:00:00:00:00:03" } };
  test.each<[string, JsonObject, string, string | undefined]>([
    ["is the kernel's choice without a wish", {}, "", undefined],
    ["is the config's", config, "", "020000000001"],
    ["of CNI_ARGS beats the config's", config, "MAC=02:00:00:00:00:02", "020000000002"],
    ["of the runtime beats both", runtime, "MAC=02:00:00:00:00:02", "020000000003"],
    ["of the runtime that is empty counts for nothing", { ...config, runtimeConfig: { mac: "" } }, "", "020000000001"],
  ])("%s", (_, own, args, want) => {
    expect(parse(own, args).mac).toBe(want);
  });
});

describe("CNI_ARGS", () => {
  test("with keys that macvlan does not know are refused, unless IgnoreUnknown says otherwise or it is a DEL", () => {
    const message = 'ARGS: unknown args ["FOO=bar"]';
    expect(() => parse({}, "FOO=bar")).toThrow(
      expect.objectContaining({ message: expect.stringContaining(message) as string }),
    );
    expect(parse({}, "FOO=bar;IgnoreUnknown=1")).toEqual(defaults);
    expect(parse({}, "FOO=bar", "DEL")).toEqual(defaults);
  });
});

describe("without a master in the config it is", () => {
  const prev = (...interfaces: JsonObject[]) => ({ prevResult: { cniVersion: "1.1.0", interfaces } });
  test.each<[string, JsonObject, string | undefined]>([
    ["the one interface of the previous result", prev({ name: "bond0.5" }), "bond0.5"],
    [
      "the one in the pod when it is to be there",
      { linkInContainer: true, ...prev({ name: "eth1", sandbox: "/x" }) },
      "eth1",
    ],
    ["not one in the pod for a master on the node", prev({ name: "eth1", sandbox: "/x" }), undefined],
    ["not one on the node for a master in the pod", { linkInContainer: true, ...prev({ name: "eth1" }) }, undefined],
    ["none of several", prev({ name: "veth1" }, { name: "eth0", sandbox: "/x" }), undefined],
    ["none without a name", prev({ name: "" }), undefined],
    ["none when there are none", prev(), undefined],
  ])("%s", (_, own, want) => {
    expect(parse(own)).toMatchObject({ master: want, isMasterNamed: false });
  });

  test("never taken from there when the config names one", () => {
    expect(parse({ master: "eth0", ...prev({ name: "bond0" }) })).toMatchObject({
      master: "eth0",
      isMasterNamed: true,
    });
  });
});
