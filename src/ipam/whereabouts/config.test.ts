import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseArgs } from "../../cni/args.ts";
import { testRuntime } from "../../cni/call.test-data.ts";
import { CniError } from "../../cni/error.ts";
import type { Call } from "../../cni/plugin.ts";
import { parseNetConf } from "../../cni/net-conf.ts";
import { formatIp } from "../../ip/address.ts";
import { formatPrefix } from "../../ip/prefix.ts";
import { formatRange } from "../../ip/range.ts";
import type { JsonObject } from "../../json/value.ts";
import { dataDirOf, podRefOf, type WhereaboutsConfig } from "./config.ts";
import { parseConfig, settle } from "./parse.ts";

const folder = mkdtempSync(join(tmpdir(), "polynic-whereabouts-"));
afterAll(() => rmSync(folder, { recursive: true }));

const confOf = (raw: JsonObject) =>
  parseNetConf({ cniVersion: "1.1.0", name: "net", type: "macvlan", ...raw }, "ADD").conf;

/** The config of `ipam`; `more` are members beside it. */
function configOf(ipam: JsonObject, args = "", more: JsonObject = {}): WhereaboutsConfig {
  const conf = confOf({ ipam: { type: "whereabouts", ...ipam }, ...more });
  using runtime = testRuntime([]);
  return settle({ conf, runtime } as unknown as Call, parseConfig(conf, parseArgs(args)));
}

const rangesOf = ({ ranges }: WhereaboutsConfig) =>
  ranges.map(({ pool, spans }) => `${pool} ${spans.map(formatRange).join(",")}`);

let count = 0;
function flatFile(content: JsonObject | string): { configuration_path: string } {
  const path = join(folder, `flat-${count++}.conf`);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return { configuration_path: path };
}

describe("ranges", () => {
  test.each<[string, JsonObject, string[]]>([
    ["a network", { range: "192.168.1.0/24" }, ["192.168.1.0-24 192.168.1.1-192.168.1.254"]],
    ["a network with host bits", { range: "192.168.2.225/28" }, ["192.168.2.224-28 192.168.2.225-192.168.2.238"]],
    ["first and last address", { range: "192.168.1.5-192.168.1.7/24" }, ["192.168.1.0-24 192.168.1.5-192.168.1.7"]],
    [
      "leading zeros",
      { range: "192.168.001.000/24", range_start: "192.168.01.010" },
      ["192.168.1.0-24 192.168.1.10-192.168.1.254"],
    ],
    [
      "bounds",
      { range: "10.0.0.0/16", range_start: "10.0.1.0", range_end: "10.0.1.9" },
      ["10.0.0.0-16 10.0.1.0-10.0.1.9"],
    ],
    ["an end outside", { range: "10.0.0.0/29", range_end: "10.1.0.1" }, ["10.0.0.0-29 10.0.0.1-10.0.0.6"]],
    [
      "a start that is no address, in ipam itself",
      { range: "10.0.0.0/29", range_start: "soon" },
      ["10.0.0.0-29 10.0.0.1-10.0.0.6"],
    ],
    [
      "exclusions",
      { range: "10.0.0.0/29", exclude: ["10.0.0.1/32", "10.0.0.4/31", "10.0.0.6"] },
      ["10.0.0.0-29 10.0.0.2-10.0.0.3"],
    ],
    [
      "of both families, that of ipam first",
      { ipRanges: [{ range: "fd00::/124" }, { range: "10.1.0.0/30" }], range: "10.0.0.0/30" },
      ["10.0.0.0-30 10.0.0.1-10.0.0.2", "fd00---124 fd00::1-fd00::e", "10.1.0.0-30 10.1.0.1-10.1.0.2"],
    ],
    ["of a named network", { range: "10.0.0.0/30", network_name: "blue" }, ["blue-10.0.0.0-30 10.0.0.1-10.0.0.2"]],
    ["two addresses, with enable_l3", { range: "10.0.0.0/31", enable_l3: true }, ["10.0.0.0-31 10.0.0.0-10.0.0.1"]],
    [
      "with enable_l3 in one only",
      { ipRanges: [{ range: "10.0.0.0/30", enable_l3: true }, { range: "10.0.1.0/30" }] },
      ["10.0.0.0-30 10.0.0.0-10.0.0.3", "10.0.1.0-30 10.0.1.1-10.0.1.2"],
    ],
    [
      "without the gateway",
      { range: "10.0.0.0/30", gateway: "10.0.0.1", exclude_gateway: true },
      ["10.0.0.0-30 10.0.0.2-10.0.0.2"],
    ],
    [
      "without static addresses",
      { range: "10.0.0.0/30", addresses: [{ address: "10.0.0.2/30" }] },
      ["10.0.0.0-30 10.0.0.1-10.0.0.1"],
    ],
    ["none", {}, []],
  ])("%s", (_, ipam, want) => {
    expect(rangesOf(configOf(ipam))).toEqual(want);
  });

  test.each<[string, JsonObject, string]>([
    ["no network", { range: "SECONDARY_RANGE_NAME" }, `invalid CIDR "SECONDARY_RANGE_NAME" (at $.ipam.range)`],
    [
      "a start outside its network",
      { range: "10.1.0.1-10.0.0.9/24" },
      "invalid range start for CIDR 10.0.0.0/24: 10.1.0.1 (at $.ipam.range)",
    ],
    [
      "too small",
      { ipRanges: [{ range: "10.0.0.0/31" }] },
      "net mask is too short, must be 2 or more: 10.0.0.0/31 (at $.ipam.ipRanges[0].range)",
    ],
    [
      "an exclusion that is none",
      { range: "10.0.0.0/24", exclude: ["x"] },
      "could not parse exclude range: invalid CIDR address: x (at $.ipam.exclude[0])",
    ],
    [
      "a start that is no address, in ipRanges",
      { ipRanges: [{ range: "10.0.0.0/24", range_start: "soon" }] },
      `expected an IP address, found "soon" (at $.ipam.ipRanges[0].range_start)`,
    ],
    [
      "a name that Kubernetes does not take",
      { range: "::/64" },
      "the pool of ::/64 would be named ---64, which Kubernetes does not take (at $.ipam.range)",
    ],
    [
      "a network name in capitals",
      { range: "10.0.0.0/24", network_name: "Blue" },
      "the pool of 10.0.0.0/24 would be named Blue-10.0.0.0-24, which Kubernetes does not take (at $.ipam.range)",
    ],
    [
      "a gateway that is no address",
      { range: "10.0.0.0/24", gateway: "x" },
      "couldn't parse gateway IP: x (at $.ipam.gateway)",
    ],
    [
      "a lock that is none",
      { range: "10.0.0.0/24", coexist_lock: "yes" },
      `$.ipam.coexist_lock: expected "lease" or "none", found "yes"`,
    ],
    [
      "a slice size that is none",
      { range: "10.0.0.0/24", node_slice_size: "big" },
      `$.ipam.node_slice_size: expected a prefix length such as "/26", found "big"`,
    ],
    [
      "host-local's words instead of a range",
      { subnet: "10.0.0.0/24" },
      "no range to give out addresses of (at $.ipam)",
    ],
    ["a range that is no text", { range: 7 }, "$.ipam.range: expected a string, found 7"],
  ])("%s is refused", (_, ipam, want) => {
    expect(() => configOf(ipam)).toThrow(want);
  });
});

describe("what is passed over is told", () => {
  test.each<[string, JsonObject, string]>([
    [
      "host-local's words (WHEREABOUTS 601)",
      { range: "10.0.0.0/24", rangeStart: "10.0.0.9" },
      "$.ipam.rangeStart: whereabouts has no such option; it calls it range_start",
    ],
    [
      "host-local's words in one of ipRanges",
      { ipRanges: [{ range: "10.0.0.0/24", rangeEnd: "10.0.0.9" }] },
      "$.ipam.ipRanges[0].rangeEnd: whereabouts has no such option; it calls it range_end",
    ],
    [
      "a level of logs that is none",
      { range: "10.0.0.0/24", log_level: "loud" },
      `$.ipam.log_level: "loud" is passed over: expected debug, verbose, error or panic`,
    ],
    [
      "a bound outside",
      { range: "10.0.0.0/24", range_end: "10.9.0.9" },
      "$.ipam.range_end: 10.9.0.9 is outside 10.0.0.1-10.0.0.254; it is passed over, as whereabouts does",
    ],
    [
      "a gateway that a pod could get",
      { range: "10.0.0.0/24", gateway: "10.0.0.1" },
      `$.ipam.gateway: 10.0.0.1 is among the addresses that pods get; "exclude_gateway": true keeps it`,
    ],
    [
      "a preference that is no address",
      { range: "10.0.0.0/24", pick_addresses: ["x"] },
      `$.ipam.pick_addresses[0]: "x" is no IP address; it is passed over`,
    ],
  ])("%s", (_, ipam, want) => {
    expect(configOf(ipam).warnings).toEqual([want]);
  });

  test("static addresses need no range", () => {
    const { statics, warnings } = configOf({ addresses: [{ address: "10.0.0.5/24" }], log_level: "loud" });
    expect([statics, warnings].map((each) => each.length)).toEqual([1, 1]);
  });

  test("host-local's words in the flat file", () => {
    const file = flatFile({ range: "10.0.0.0/24", rangeStart: "10.0.0.9" });
    expect(configOf(file).warnings).toEqual([
      `${file.configuration_path}.rangeStart: whereabouts has no such option; it calls it range_start`,
    ]);
  });

  test("also where it is what makes a range unusable", () => {
    expect(() => configOf({ ipRanges: [{ subnet: "10.0.0.0/24" }] })).toThrow(
      expect.objectContaining({
        message: `invalid CIDR "" (at $.ipam.ipRanges[0].range)`,
        details: expect.stringMatching(
          /^\$\.ipam\.ipRanges\[0\]\.subnet: .* it calls it range; expected a network/,
        ) as string,
      }) as Error,
    );
  });
});

describe("the flat file", () => {
  test("fills in what the network does not say, and what means nothing in Go", () => {
    const file = flatFile({
      kubernetes: { kubeconfig: "/etc/kc" },
      range: "10.9.0.0/24",
      log_file: "/var/log/whereabouts.log",
      log_level: "verbose",
      gateway: "10.0.0.254",
      coexist: false,
    });
    const config = configOf({ ...file, range: "10.0.0.0/24", gateway: "", kubernetes: { kubeconfig: "" } });
    expect(config).toMatchObject({
      kubeconfig: "/etc/kc",
      logFile: "/var/log/whereabouts.log",
      logLevel: "verbose",
      coexists: false,
    });
    expect(rangesOf(config)).toEqual(["10.0.0.0-24 10.0.0.1-10.0.0.254"]);
    expect(formatIp(config.gateway!)).toBe("10.0.0.254");
  });

  test("has no say where the network denies what whereabouts has no option for", () => {
    const file = flatFile({ exclude_gateway: true, enable_l3: true, release_delay_seconds: 9, coexist: true });
    const range = { range: "10.0.0.0/30", gateway: "10.0.0.1" };
    const denied = { exclude_gateway: false, enable_l3: false, release_delay_seconds: 0, coexist: false };
    expect(rangesOf(configOf({ ...file, ...range }))).toEqual(["10.0.0.0-30 10.0.0.0-10.0.0.0,10.0.0.2-10.0.0.3"]);
    const config = configOf({ ...file, ...range, ...denied });
    expect(rangesOf(config)).toEqual(["10.0.0.0-30 10.0.0.1-10.0.0.2"]);
    expect(config).toMatchObject({ coexists: false, releaseDelayMs: 0 });
  });

  test("may bring the range of an address that is asked for", () => {
    const asked = { runtimeConfig: { ips: ["10.0.0.5"] } };
    const { required } = configOf(flatFile({ range: "10.0.0.0/24" }), "", asked);
    expect(required.map(formatIp)).toEqual(["10.0.0.5"]);
  });

  test("has no say in enable_overlapping_ranges", () => {
    expect(configOf(flatFile({ enable_overlapping_ranges: false })).isOverlapChecked).toBe(true);
    expect(configOf({ enable_overlapping_ranges: false }).isOverlapChecked).toBe(false);
  });

  test("may be a folder that holds it, and need not be there (WHEREABOUTS 465)", () => {
    writeFileSync(join(folder, "whereabouts.conf"), JSON.stringify({ range: "10.9.0.0/30" }));
    expect(rangesOf(configOf({ configuration_path: folder }))).toEqual(["10.9.0.0-30 10.9.0.1-10.9.0.2"]);
    expect(configOf({ configuration_path: join(folder, "none") }).ranges).toEqual([]);
  });

  test.each(["{", '{"range": 7}', "[]"])("that holds %s is refused by its name", (content) => {
    const file = flatFile(content);
    expect(() => configOf(file)).toThrow(file.configuration_path);
  });
});

describe("addresses that are asked for", () => {
  const asked = (args: string, more: JsonObject, ipam: JsonObject = { range: "10.0.0.0/24" }) => {
    const { statics, heldStatics, required } = configOf(ipam, args, more);
    return {
      statics: statics.map(
        ({ address, gateway }) => formatPrefix(address) + (gateway ? ` via ${formatIp(gateway)}` : ""),
      ),
      held: heldStatics.map(formatIp),
      required: required.map(formatIp),
    };
  };

  test("in CNI_ARGS are static, with their gateway, and claimed if a range could give them out", () => {
    expect(asked("IP=10.0.0.5/24,172.16.0.5/16;GATEWAY=172.16.0.1", {})).toEqual({
      statics: ["10.0.0.5/24", "172.16.0.5/16 via 172.16.0.1"],
      held: ["10.0.0.5"],
      required: [],
    });
  });

  test("by the runtime take the place of what their range would give; others are static", () => {
    expect(asked("IP=10.0.0.5/24", { runtimeConfig: { ips: ["10.0.0.5/24", "172.16.0.5/16"] } })).toEqual({
      statics: ["172.16.0.5/16"],
      held: [],
      required: ["10.0.0.5"],
    });
    expect(asked("", { args: { cni: { ips: ["10.0.0.6"] } } }).required).toEqual(["10.0.0.6"]);
  });

  test("in the config come behind those of the ranges", () => {
    const addresses = [{ address: "10.0.0.3/24", gateway: "10.0.0.1" }];
    expect(asked("IP=172.16.0.5/16", {}, { range: "10.0.0.0/24", addresses }).statics).toEqual([
      "10.0.0.3/24 via 10.0.0.1",
      "172.16.0.5/16",
    ]);
  });

  test("of no range need a prefix length", () => {
    expect(() => asked("", { runtimeConfig: { ips: ["172.16.0.5"] } })).toThrow(
      "requested address 172.16.0.5 is of none of the ranges",
    );
    expect(() => asked("", { runtimeConfig: { ips: ["x"] } })).toThrow(`$.runtimeConfig.ips: "x" is no IP address`);
  });

  test("are preferred by the pod's annotation before pick_addresses", () => {
    const annotations = { "whereabouts.cni.cncf.io/preferred-ip": "10.0.0.9, 10.0.0.8/24" };
    const more = { runtimeConfig: { "io.kubernetes.cri.pod-annotations": annotations } };
    const { preferred } = configOf({ range: "10.0.0.0/24", pick_addresses: ["10.0.0.7"] }, "", more);
    expect(preferred.map(formatIp)).toEqual(["10.0.0.9", "10.0.0.8", "10.0.0.7"]);
  });
});

test("CNI_ARGS that are not known are refused unless IgnoreUnknown is set", () => {
  const ipam = { range: "10.0.0.0/24" };
  const pod = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=x;K8S_POD_UID=u";
  expect(configOf(ipam, pod).ranges).toHaveLength(1);
  expect(configOf(ipam, "IgnoreUnknown=1;COLOUR=red").ranges).toHaveLength(1);
  expect(() => configOf(ipam, "COLOUR=red")).toThrow(CniError);
  expect(podRefOf(parseArgs(pod))).toBe("shop/web");
  expect(podRefOf(parseArgs(""))).toBe("/");
});

test("before 0.3.0 a result has one address of each family", () => {
  const ipam = { type: "whereabouts", range: "10.0.0.0/24", ipRanges: [{ range: "10.1.0.0/24" }] };
  const conf = parseNetConf({ cniVersion: "0.2.0", name: "net", type: "macvlan", ipam }, "ADD").conf;
  expect(() => parseConfig(conf, parseArgs(""))).toThrow("more than 1 address per family");
});

test("options that hold unless a config says otherwise", () => {
  expect(configOf({ range: "10.0.0.0/24" })).toMatchObject({
    isOverlapChecked: true,
    coexists: true,
    takesLease: false,
    releaseDelayMs: 0,
    isSliced: false,
    networkName: "",
    dataDir: "/var/lib/cni/polynic/whereabouts",
  });
  expect(
    configOf({
      range: "10.0.0.0/24",
      node_slice_size: 26,
      coexist: false,
      coexist_lock: "lease",
      release_delay_seconds: 2,
    }),
  ).toMatchObject({
    isSliced: true,
    coexists: false,
    takesLease: true,
    releaseDelayMs: 2000,
  });
});

test("data_dir is found in a config that is otherwise unusable", () => {
  expect(dataDirOf(confOf({ ipam: { type: "whereabouts", data_dir: "/x", range: 7 } }))).toBe("/x");
  expect(dataDirOf(confOf({}))).toBe("/var/lib/cni/polynic/whereabouts");
});
