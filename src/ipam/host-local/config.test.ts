import { expect, test } from "vitest";
import { noArgs, parseArgs } from "../../cni/args.ts";
import { CniError } from "../../cni/error.ts";
import { parseNetConf } from "../../cni/net-conf.ts";
import { formatIp, parseIp } from "../../ip/address.ts";
import { parsePrefix } from "../../ip/prefix.ts";
import type { JsonObject } from "../../json/value.ts";
import { dataDirOf, type HostLocalConfig, parseConfig } from "./config.ts";
import { formatSet } from "./range-set.ts";

function confOf(raw: JsonObject) {
  return parseNetConf({ cniVersion: "1.1.0", name: "pool", type: "macvlan", ...raw }, "ADD").conf;
}

const configOf = (raw: JsonObject, args = ""): HostLocalConfig => parseConfig(confOf(raw), parseArgs(args), "ADD");

const v4 = { subnet: "192.0.2.0/28" };
const v6 = { subnet: "2001:db8::/124" };
const v4Text = "192.0.2.1-192.0.2.14";
const v6Text = "2001:db8::1-2001:db8::f";

test.each<[string, JsonObject, string[]]>([
  ["one old-style range", { ipam: { type: "host-local", ...v4 } }, [v4Text]],
  ["ranges", { ipam: { ranges: [[v4], [v6]] } }, [v4Text, v6Text]],
  ["both, the old-style one first", { ipam: { ...v6, ranges: [[v4]] } }, [v6Text, v4Text]],
  [
    "ranges of the runtime first of all",
    {
      ipam: { ...v4, ranges: [[{ subnet: "198.51.100.0/30" }]] },
      runtimeConfig: { ipRanges: [[v6], [{ subnet: "203.0.113.0/30" }]] },
    },
    [v6Text, "203.0.113.1-203.0.113.2", v4Text, "198.51.100.1-198.51.100.2"],
  ],
  ["ranges of the runtime only", { ipam: {}, runtimeConfig: { ipRanges: [[v4]] } }, [v4Text]],
  [
    "a set of several ranges",
    { ipam: { ranges: [[v4, { subnet: "192.0.2.16/30" }]] } },
    [`${v4Text},192.0.2.17-192.0.2.18`],
  ],
  ["an old-style range without subnet, which is none", { ipam: { rangeStart: "192.0.2.3", ranges: [[v6]] } }, [v6Text]],
  [
    "names in any letter case, and empty addresses",
    { IPAM: { RANGES: [[{ SUBNET: v4.subnet, rangestart: "192.0.2.3", RangeEnd: "", gateway: "" }]] } },
    ["192.0.2.3-192.0.2.14"],
  ],
  [
    "sets of version 0.2.0, one of each family",
    { cniVersion: "0.2.0", ipam: { ranges: [[v4], [v6]] } },
    [v4Text, v6Text],
  ],
])("sets are read from %s", (_, raw, want) => {
  expect(configOf(raw).sets.map(formatSet)).toEqual(want);
});

test.each<[string, JsonObject, string, string[]]>([
  ["nobody", {}, "", []],
  ["CNI_ARGS", {}, "IP=192.0.2.5", ["192.0.2.5"]],
  ["CNI_ARGS with prefix length", {}, "IP=192.0.2.5/30", ["192.0.2.5"]],
  ["CNI_ARGS, the last one", {}, "IP=192.0.2.5;IP=192.0.2.6", ["192.0.2.6"]],
  ["CNI_ARGS among unknown ones", {}, "IgnoreUnknown=true;K8S_POD_NAME=a;IP=192.0.2.5", ["192.0.2.5"]],
  ["CNI_ARGS, empty", {}, "IP=", []],
  ["args", { args: { cni: { ips: ["192.0.2.5", "2001:DB8::5"] } } }, "", ["192.0.2.5", "2001:db8::5"]],
  ["args with prefix length", { args: { cni: { ips: ["192.0.2.5/24"] } } }, "", ["192.0.2.5"]],
  ["args of others", { args: { labels: { a: "b" } } }, "", []],
  ["the runtime", { runtimeConfig: { ips: ["192.0.2.5/24", "::ffff:192.0.2.6"] } }, "", ["192.0.2.5", "192.0.2.6"]],
  [
    "all, each address once",
    { args: { cni: { ips: ["192.0.2.5", "192.0.2.6"] } }, runtimeConfig: { ips: ["192.0.2.7", "192.0.2.6"] } },
    "IP=192.0.2.5",
    ["192.0.2.5", "192.0.2.6", "192.0.2.7"],
  ],
])("addresses are requested by %s", (_, raw, args, want) => {
  expect(configOf({ ipam: v4, ...raw }, args).requested.map(formatIp)).toEqual(want);
});

test("routes are handed on as they are", () => {
  const routes = [
    { dst: "0.0.0.0/0" },
    { dst: "192.0.2.77/24", gw: "192.0.2.1", mtu: 1300, advmss: 1200, priority: 0, table: 7, scope: 253 },
    { dst: "::/0", gw: "" },
  ];
  expect(configOf({ ipam: { ...v4, routes } }).routes).toEqual([
    { dst: parsePrefix("0.0.0.0/0") },
    {
      dst: parsePrefix("192.0.2.77/24"),
      gw: parseIp("192.0.2.1"),
      mtu: 1300,
      advmss: 1200,
      priority: 0,
      table: 7,
      scope: 253,
    },
    { dst: parsePrefix("::/0") },
  ]);
});

test("dataDir and resolvConf are paths, with upstream's defaults", () => {
  expect(configOf({ ipam: v4 })).toMatchObject({ dataDir: "/var/lib/cni/networks", resolvConf: "" });
  expect(configOf({ ipam: { ...v4, dataDir: "/run/x", resolvConf: "/etc/r" } })).toMatchObject({
    dataDir: "/run/x",
    resolvConf: "/etc/r",
  });
});

test.each<[string, JsonObject, string, number, string]>([
  ["no ipam", {}, "", 7, "IPAM config missing 'ipam' key (at $.ipam)"],
  ["no range", { ipam: {} }, "", 7, "no IP ranges specified (at $.ipam)"],
  [
    "an empty set",
    { ipam: { ranges: [[v4], []] } },
    "",
    7,
    "invalid range set 1: empty range set (at $.ipam.ranges[1][0])",
  ],
  [
    "a subnet that is too small",
    { ipam: { ranges: [[v6], [v4, { subnet: "192.0.2.32/31" }]] } },
    "",
    7,
    "invalid range set 1: Network 192.0.2.32/31 too small to allocate from (at $.ipam.ranges[1][1].subnet)",
  ],
  [
    "an old-style start outside",
    { ipam: { ...v4, rangeStart: "192.0.2.16" } },
    "",
    7,
    "invalid range set 0: RangeStart 192.0.2.16 not in network 192.0.2.0/28 (at $.ipam.rangeStart)",
  ],
  [
    "mixed families in a range of the runtime",
    { ipam: v4, runtimeConfig: { ipRanges: [[{ subnet: "198.51.100.0/24" }, v6]] } },
    "",
    7,
    "invalid range set 0: mixed address families (at $.runtimeConfig.ipRanges[0][1])",
  ],
  [
    "an overlap within a set",
    { ipam: { ranges: [[v4, { subnet: "192.0.2.0/29" }]] } },
    "",
    7,
    "invalid range set 0: subnets 192.0.2.1-192.0.2.14 and 192.0.2.1-192.0.2.6 overlap (at $.ipam.ranges[0][1])",
  ],
  [
    "an overlap between sets",
    { ipam: { ranges: [[v4], [v6], [{ subnet: "192.0.2.0/24" }]] } },
    "",
    7,
    "range set 0 overlaps with 2 (at $.ipam.ranges[2][0])",
  ],
  [
    "two sets of a family in 0.2.0",
    { cniVersion: "0.2.0", ipam: { ranges: [[v4], [{ subnet: "198.51.100.0/24" }]] } },
    "",
    7,
    "CNI version 0.2.0 does not support more than 1 address per family (at $.ipam.ranges)",
  ],
  [
    "a subnet that is none",
    { ipam: { ranges: [[{ subnet: "192.0.2.0" }]] } },
    "",
    7,
    '$.ipam.ranges[0][0].subnet: expected an IP network such as 10.1.0.0/16, found "192.0.2.0"',
  ],
  [
    "a gateway that is none",
    { ipam: { ...v4, gateway: "x" } },
    "",
    7,
    '$.ipam.gateway: expected an IP address, found "x"',
  ],
  ["ranges that are no list", { ipam: { ranges: {} } }, "", 7, "$.ipam.ranges: expected an array, found an object"],
  [
    "ranges that are no list of lists",
    { ipam: { ranges: [v4] } },
    "",
    7,
    "$.ipam.ranges[0]: expected an array, found an object",
  ],
  [
    "a requested address that is none",
    { ipam: v4, runtimeConfig: { ips: ["192.0.2.5", "192.0.2.256"] } },
    "",
    7,
    '$.runtimeConfig.ips[1]: expected an IP address, found "192.0.2.256"',
  ],
  [
    "an IP in CNI_ARGS that is none",
    { ipam: v4 },
    "IP=192.0.2",
    4,
    'ARGS: error parsing value of pair "IP=192.0.2": invalid IP address 192.0.2',
  ],
])("a config with %s is refused", (_, raw, args, code, message) => {
  let error: unknown;
  try {
    configOf(raw, args);
  } catch (thrown) {
    error = CniError.from(thrown);
  }
  expect(error).toMatchObject({ code, message });
});

test("STATUS needs no ranges when the runtime brings them with ADD", () => {
  const status = (raw: JsonObject) => parseConfig(confOf(raw), noArgs, "STATUS").sets;
  expect(status({ ipam: {}, capabilities: { ipRanges: true } })).toEqual([]);
  expect(status({ ipam: v4, capabilities: { ipRanges: true } }).map(formatSet)).toEqual([v4Text]);
  expect(() => status({ ipam: {}, capabilities: { ipRanges: false } })).toThrow("no IP ranges specified");
  expect(() => configOf({ ipam: {}, capabilities: { ipRanges: true } })).toThrow("no IP ranges specified");
});

test("unknown CNI_ARGS are refused, unless the caller says that there will be some", () => {
  expect(() => configOf({ ipam: v4 }, "K8S_POD_NAME=a")).toThrow('unknown args ["K8S_POD_NAME=a"]');
  expect(() => configOf({ ipam: v4 }, "IgnoreUnknown=1;a=b=c")).toThrow('invalid pair "a=b=c"');
});

test.each<[string, JsonObject, string]>([
  ["a broken config", { ipam: { dataDir: "/run/x", ranges: "?" } }, "/run/x"],
  ["another letter case", { Ipam: { DATADIR: "/run/x" } }, "/run/x"],
  ["no ipam", {}, "/var/lib/cni/networks"],
  ["an empty one", { ipam: { dataDir: "" } }, "/var/lib/cni/networks"],
  ["one that is no text", { ipam: { dataDir: 5 } }, "/var/lib/cni/networks"],
])("the folder of the leases is found with %s", (_, raw, want) => {
  expect(dataDirOf(confOf(raw))).toBe(want);
});
