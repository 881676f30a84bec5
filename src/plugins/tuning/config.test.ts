import { describe, expect, test } from "vitest";
import { parseArgs } from "../../cni/args.ts";
import { parseNetConf } from "../../cni/net-conf.ts";
import type { Verb } from "../../cni/version.ts";
import type { JsonObject } from "../../json/value.ts";
import { parseConfig } from "./config.ts";

const parse = (own: JsonObject, args = "", verb: Verb = "ADD") =>
  parseConfig(
    parseNetConf({ cniVersion: "1.1.0", name: "net", type: "tuning", ...own }, verb).conf,
    parseArgs(args),
    verb,
  );

const nothing = { mac: undefined, promisc: undefined, mtu: undefined, allmulti: undefined, txQLen: undefined };
const defaults = { dataDir: "/run/cni/tuning", sysctls: {}, settings: nothing, requiresAllowlist: false };
const [a, b, c, d] = ["a", "b", "c", "d"].map((digit) => `02:00:00:00:00:0${digit}`);

describe("a tuning config", () => {
  test.each<[string, JsonObject, string, object]>([
    ["may be empty", {}, "", {}],
    ["may have empty values", { mac: "", mtu: 0, promisc: false, dataDir: "", sysctl: {} }, "", {}],
    ["may have nulls", { mac: null, mtu: null, sysctl: null, args: null, runtimeConfig: null }, "", {}],
    [
      "may set everything",
      {
        mac: a,
        mtu: 1400,
        promisc: true,
        allmulti: true,
        txQLen: 20000,
        sysctl: { "net.x": "1" },
        dataDir: "/d",
        requireAllowlist: true,
      },
      "",
      {
        dataDir: "/d",
        sysctls: { "net.x": "1" },
        settings: { mac: a, mtu: 1400, promisc: true, allmulti: true, txQLen: 20000 },
        requiresAllowlist: true,
      },
    ],
    [
      "tells false and 0 from nothing where upstream does",
      { allmulti: false, txQLen: 0 },
      "",
      { settings: { allmulti: false, txQLen: 0 } },
    ],
    ["has MACs in one form", { mac: "02-00-00-00-00-0A" }, "", { settings: { mac: a } }],
    ["gives way to the MAC of CNI_ARGS", { mac: a }, `MAC=${b}`, { settings: { mac: b } }],
    ["gives way to the runtime's MAC", { mac: a, runtimeConfig: { mac: c } }, `MAC=${b}`, { settings: { mac: c } }],
    [
      "gives way to args.cni",
      {
        mac: a,
        mtu: 1,
        promisc: true,
        allmulti: true,
        txQLen: 1,
        runtimeConfig: { mac: c },
        args: { cni: { mac: d, mtu: 2, promisc: false, allmulti: false, txQLen: 2 } },
      },
      `MAC=${b}`,
      { settings: { mac: d, mtu: 2, allmulti: false, txQLen: 2 } },
    ],
    [
      "has the sysctls of args.cni too",
      { sysctl: { "net.a": "1", "net.b": "1" }, args: { cni: { sysctl: { "net.b": "2", "net.c": "2" } } } },
      "",
      { sysctls: { "net.a": "1", "net.b": "2", "net.c": "2" } },
    ],
    [
      "may have sysctls in args.cni alone",
      { args: { cni: { sysctl: { "net.c": "2" } } } },
      "",
      { sysctls: { "net.c": "2" } },
    ],
    ["knows other keys of CNI_ARGS to ignore", {}, "IgnoreUnknown=1;K8S_POD_NAME=web", {}],
  ])("%s", (_, own, args, want) => {
    const { settings = {}, ...rest } = want as { settings?: object };
    expect(parse(own, args)).toEqual({ ...defaults, ...rest, settings: { ...nothing, ...settings } });
  });

  test.each<[JsonObject, string, number, string]>([
    [{ sysctl: { "net.x": 1 } }, "", 7, 'failed to load netconf: $.sysctl["net.x"]: expected a string, found 1'],
    [{ sysctl: ["net.x"] }, "", 7, "failed to load netconf: $.sysctl: expected an object, found an array"],
    [{ mtu: -1 }, "", 7, "failed to load netconf: $.mtu: expected an integer from 0 to 4294967295, found -1"],
    [{ txQLen: 1.5 }, "", 7, "failed to load netconf: $.txQLen: expected an integer from 0 to 4294967295, found 1.5"],
    [{ promisc: "yes" }, "", 7, 'failed to load netconf: $.promisc: expected true or false, found "yes"'],
    [{ args: { cni: { mtu: "1" } } }, "", 7, "failed to load netconf: $.args.cni.mtu: expected an integer"],
    [{ mac: "xx" }, "", 7, "invalid args xx for MAC addr: address xx: invalid MAC address"],
    [{ mac: "01:00:5e:00:00:01" }, "", 7, "a multicast address can't be a device's own"],
    [{}, "FOO=bar", 4, 'ARGS: unknown args ["FOO=bar"]'],
  ])("%j with CNI_ARGS %j is refused", (own, args, code, message) => {
    for (const verb of ["ADD", "CHECK"] as const) {
      expect(() => parse(own, args, verb)).toThrow(
        expect.objectContaining({ code, message: expect.stringContaining(message) as string }) as Error,
      );
    }
  });

  test.each<[JsonObject, string]>([
    [{ mtu: "x", mac: "y", sysctl: 5, dataDir: "/d" }, "/d"],
    [{ dataDir: 5 }, "/run/cni/tuning"],
    [{ DATADIR: "/d" }, "/d"],
  ])("%j says where to clean up: %s", (own, dataDir) => {
    for (const verb of ["DEL", "GC"] as const) expect(parse(own, "FOO=bar", verb).dataDir).toBe(dataDir);
  });
});
