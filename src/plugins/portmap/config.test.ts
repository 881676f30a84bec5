import { describe, expect, test } from "vitest";
import { noArgs } from "../../cni/args.ts";
import { parseNetConf } from "../../cni/net-conf.ts";
import type { Verb } from "../../cni/version.ts";
import { parseIp } from "../../ip/address.ts";
import type { JsonObject } from "../../json/value.ts";
import { parseConfig, type PortmapConfig } from "./config.ts";

function parse(own: JsonObject, verb: Verb = "ADD"): PortmapConfig {
  const { conf } = parseNetConf({ cniVersion: "1.1.0", name: "net", type: "portmap", ...own }, verb);
  return parseConfig(conf, noArgs, verb);
}

const map = (...portMappings: JsonObject[]): JsonObject => ({ runtimeConfig: { portMappings } });
const web: JsonObject = { hostPort: 8080, containerPort: 80 };

const defaults: PortmapConfig = {
  backend: undefined,
  reason: "by default",
  snat: true,
  masqAll: false,
  markBit: 13,
  externalSetMarkChain: undefined,
  conditions: { 4: [], 6: [] },
  mappings: [],
};

describe("a portmap config", () => {
  test.each<[string, JsonObject, Partial<PortmapConfig>]>([
    ["may be empty", {}, {}],
    ["may have nulls", { backend: null, snat: null, conditionsV4: null, runtimeConfig: null }, {}],
    ["may have an empty list of mappings", { runtimeConfig: { portMappings: [] } }, {}],
    ["may switch snat off and masqAll on", { snat: false, masqAll: true }, { snat: false, masqAll: true }],
    ["may name the bit of the mark", { markMasqBit: 0 }, { markBit: 0 }],
    ["may name the last bit", { markMasqBit: 31 }, { markBit: 31 }],
    ["may name a back end", { backend: "nftables" }, { backend: "nftables", reason: "as configured" }],
    [
      "needs iptables for a chain of somebody else's",
      { externalSetMarkChain: "KUBE-MARK-MASQ" },
      { backend: "iptables", reason: "for the sake of externalSetMarkChain", externalSetMarkChain: "KUBE-MARK-MASQ" },
    ],
    [
      "needs iptables for its conditions",
      { conditionsV4: ["-s", "10.0.0.0/8"], conditionsV6: ["!", "-i", "eth9"] },
      {
        backend: "iptables",
        reason: "for the sake of conditionsV4 and conditionsV6",
        conditions: { 4: ["-s", "10.0.0.0/8"], 6: ["!", "-i", "eth9"] },
      },
    ],
    [
      "needs nftables for its conditions",
      { conditionsV6: ["ip6", "saddr", "fd00::/8"] },
      {
        backend: "nftables",
        reason: "for the sake of conditionsV6",
        conditions: { 4: [], 6: ["ip6", "saddr", "fd00::/8"] },
      },
    ],
    ["may have empty conditions", { conditionsV4: [""] }, { conditions: { 4: [""], 6: [] } }],
  ])("%s", (_, own, want) => {
    expect(parse(own)).toEqual({ ...defaults, ...want });
  });

  test.each<[string, JsonObject, object]>([
    ["is of TCP unless it says otherwise", web, {}],
    ["may have an empty protocol", { ...web, protocol: "" }, {}],
    ["may write its protocol in capitals", { ...web, protocol: "UDP" }, { protocol: "udp" }],
    ["may be of SCTP", { ...web, protocol: "Sctp" }, { protocol: "sctp" }],
    ["may use the outermost ports", { hostPort: 65535, containerPort: 1 }, { hostPort: 65535, containerPort: 1 }],
    ["may be for one address", { ...web, hostIP: "192.0.2.1" }, { hostIp: parseIp("192.0.2.1"), family: 4 }],
    [
      "may be for one address of IPv6",
      { ...web, hostIP: "2001:db8::1" },
      { hostIp: parseIp("2001:db8::1"), family: 6 },
    ],
    ["may be for all addresses of IPv4", { ...web, hostIP: "0.0.0.0" }, { family: 4 }],
    ["may be for all addresses of IPv6", { ...web, hostIP: "::" }, { family: 6 }],
    ["may have an empty address", { ...web, hostIP: "" }, {}],
    ["has names in any letter case", { HOSTPORT: 8080, containerport: 80, hostip: "::" }, { family: 6 }],
  ])("a mapping %s", (_, mapping, want) => {
    const plain = { protocol: "tcp", hostPort: 8080, containerPort: 80, hostIp: undefined, family: undefined };
    expect(parse(map(mapping)).mappings).toEqual([{ ...plain, ...want }]);
  });

  test("mappings keep their order, and repeated ones stay", () => {
    const ports = parse(map(web, { ...web, hostPort: 1 }, web)).mappings.map(({ hostPort }) => hostPort);
    expect(ports).toEqual([8080, 1, 8080]);
  });

  test.each<[JsonObject, string]>([
    [{ markMasqBit: 32 }, "MasqMarkBit must be between 0 and 31"],
    [{ markMasqBit: -1 }, "MasqMarkBit must be between 0 and 31"],
    [{ markMasqBit: 13, externalSetMarkChain: "X" }, "Cannot specify externalSetMarkChain and markMasqBit"],
    [{ backend: "ebpf" }, 'unrecognized backend "ebpf"; expected iptables or nftables'],
    [
      { backend: "nftables", externalSetMarkChain: "X", conditionsV4: ["-s", "::"] },
      "nftables backend was requested but configuration contains iptables-specific options [externalSetMarkChain conditionsV4]",
    ],
    [
      { conditionsV4: ["-s", "10.0.0.1"], conditionsV6: ["ip6", "saddr", "::1"] },
      "iptables backend was requested but configuration contains nftables-specific options [conditionsV6]",
    ],
    [
      { conditionsV4: ["-s", "10.0.0.1\n-A INPUT -j ACCEPT"] },
      String.raw`$.conditionsV4: a condition may not contain line breaks: "10.0.0.1\n-A INPUT -j ACCEPT"`,
    ],
    [{ conditionsV6: ["\0"] }, String.raw`$.conditionsV6: a condition may not contain line breaks: "\u0000"`],
    ...["", "two words", "-j", "!x", 'a"b', "x".repeat(29)].map((chain): [JsonObject, string] => [
      { externalSetMarkChain: chain },
      `$.externalSetMarkChain: ${JSON.stringify(chain)} is not the name of a chain of at most 28 characters`,
    ]),
    [map({ containerPort: 80 }), "Invalid host port number: 0"],
    [map({ hostPort: 8080 }), "Invalid container port number: 0"],
    [map({ hostPort: 65536, containerPort: 80 }), "Invalid host port number: 65536"],
    [map({ hostPort: -1, containerPort: 80 }), "Invalid host port number: -1"],
    [map({ ...web, protocol: "icmp" }), 'Invalid protocol of host port 8080: "icmp"; expected tcp, udp, sctp'],
    [
      map(web, { ...web, hostIP: "localhost" }),
      'failed to load netconf: $.runtimeConfig.portMappings[1].hostIP: expected an IP address, found "localhost"',
    ],
    [
      map({ ...web, hostPort: "8080" }),
      'failed to load netconf: $.runtimeConfig.portMappings[0].hostPort: expected an integer, found "8080"',
    ],
    [{ snat: "yes" }, 'failed to load netconf: $.snat: expected true or false, found "yes"'],
  ])("%j is refused", (own, message) => {
    const words = `failed to parse config: ${message}`;
    for (const verb of ["ADD", "DEL"] as const)
      expect(() => parse(own, verb)).toThrow(expect.objectContaining({ code: 7, message: words }) as Error);
    expect(() => parse(own, "CHECK")).toThrow(expect.objectContaining({ code: 7, message }) as Error);
  });
});
