import { describe, expect, test } from "vitest";
import { noArgs } from "../../cni/args.ts";
import { parseNetConf } from "../../cni/net-conf.ts";
import { parsePrefix } from "../../ip/prefix.ts";
import type { JsonObject } from "../../json/value.ts";
import { rule, type Rule } from "../../nft/object.ts";
import { Transaction } from "../../nft/transaction.ts";
import { parseConditions } from "./conditions.ts";
import { parseConfig } from "./config.ts";
import { allRules, attachmentRules, chainsOf, entryStatements } from "./nftables-rules.ts";

const owner = { network: "pnet", containerId: "ctr1", ifName: "eth0" };

/** As nft would print it, once it has compiled. */
function printed(one: Rule): string {
  const transaction = new Transaction().add(one);
  expect(transaction.fault).toBeUndefined();
  return String(transaction).replace(/^add rule /, "");
}

function rules(mappings: readonly JsonObject[], more: JsonObject = {}, address = "10.88.0.7/24") {
  const runtimeConfig = { portMappings: mappings.map((mapping) => ({ containerPort: 80, ...mapping })) };
  const raw = { cniVersion: "1.1.0", name: "pnet", type: "portmap", runtimeConfig, ...more };
  const config = parseConfig(parseNetConf(raw, "ADD").conf, noArgs, "ADD");
  const prefix = parsePrefix(address)!;
  const { family } = prefix.ip;
  const conditions = parseConditions(config.conditions[family], family);
  const made = attachmentRules(chainsOf(family), owner, config, prefix, conditions);
  return {
    mappings: made.mappings.map(printed),
    masquerading: made.masquerading.map(printed),
    impossible: made.impossible.map(({ hostPort }) => hostPort),
  };
}

const map = "ip cni_hostport hostports";
const masq = "ip cni_hostport masquerading";
const end = 'comment "ctr1"';

describe("the rules of an attachment", () => {
  test("mark what comes from the pod's subnet, lead to the pod, and masquerade the pod, the node and what is marked", () => {
    expect(rules([{ hostPort: 8080 }])).toEqual({
      mappings: [
        `${map} ip saddr 10.88.0.0/24 tcp dport 8080 meta mark set meta mark | 0x00002000 ${end}`,
        `${map} tcp dport 8080 dnat to 10.88.0.7:80 ${end}`,
      ],
      masquerading: [
        `${masq} ip saddr 10.88.0.7 ip daddr 10.88.0.7 masquerade ${end}`,
        `${masq} ip saddr 127.0.0.1 ip daddr 10.88.0.7 masquerade ${end}`,
        `${masq} ip daddr 10.88.0.7 meta mark & 0x00002000 == 0x00002000 masquerade ${end}`,
      ],
      impossible: [],
    });
  });

  test("of IPv6 know no localhost", () => {
    expect(rules([{ hostPort: 8080 }], {}, "fd00:88::7/64")).toEqual({
      mappings: [
        `ip6 cni_hostport hostports ip6 saddr fd00:88::/64 tcp dport 8080 meta mark set meta mark | 0x00002000 ${end}`,
        `ip6 cni_hostport hostports tcp dport 8080 dnat to [fd00:88::7]:80 ${end}`,
      ],
      masquerading: [
        `ip6 cni_hostport masquerading ip6 saddr fd00:88::7 ip6 daddr fd00:88::7 masquerade ${end}`,
        `ip6 cni_hostport masquerading ip6 daddr fd00:88::7 meta mark & 0x00002000 == 0x00002000 masquerade ${end}`,
      ],
      impossible: [],
    });
  });

  const web = `${map} tcp dport 8080 dnat to 10.88.0.7:80 ${end}`;
  const pod = `${masq} ip saddr 10.88.0.7 ip daddr 10.88.0.7 masquerade ${end}`;
  const node = `${masq} ip saddr 127.0.0.1 ip daddr 10.88.0.7 masquerade ${end}`;
  test.each<[string, JsonObject, string, object]>([
    [
      "without snat mark and masquerade nothing",
      { snat: false },
      "10.88.0.7/24",
      { mappings: [web], masquerading: [] },
    ],
    ["without snat do so with masqAll too", { snat: false, masqAll: true }, "10.88.0.7/24", { masquerading: [] }],
    [
      "with masqAll mark everything",
      { masqAll: true },
      "10.88.0.7/24",
      {
        mappings: [`${map} tcp dport 8080 meta mark set meta mark | 0x00002000 ${end}`, web],
        masquerading: [`${masq} ip daddr 10.88.0.7 meta mark & 0x00002000 == 0x00002000 masquerade ${end}`],
      },
    ],
    [
      "have no subnet to mark for an address that stands alone",
      {},
      "10.88.0.7/32",
      { mappings: [web], masquerading: [pod, node] },
    ],
    [
      "use the bit of the config",
      { markMasqBit: 31, masqAll: true },
      "10.88.0.7/24",
      { masquerading: [`${masq} ip daddr 10.88.0.7 meta mark & 0x80000000 == 0x80000000 masquerade ${end}`] },
    ],
    [
      "have the conditions in each rule that leads to the pod, or marks",
      { conditionsV4: ["ip", "saddr", "192.0.2.0/24"], conditionsV6: ["ip6", "saddr", "fd00::/8"], masqAll: true },
      "10.88.0.7/24",
      {
        mappings: [
          `${map} ip saddr 192.0.2.0/24 tcp dport 8080 meta mark set meta mark | 0x00002000 ${end}`,
          `${map} ip saddr 192.0.2.0/24 tcp dport 8080 dnat to 10.88.0.7:80 ${end}`,
        ],
      },
    ],
    [
      "are none where conditions exclude the protocol",
      { conditionsV4: ["meta", "l4proto", "udp"] },
      "10.88.0.7/24",
      { mappings: [], masquerading: [], impossible: [8080] },
    ],
  ])("%s", (_, more, address, want) => {
    expect(rules([{ hostPort: 8080 }], more, address)).toMatchObject(want);
  });

  test("name the node's address where the mapping does, share a mark by protocol and address, and leave out the other IP version's", () => {
    const mappings = [
      { hostPort: 1 },
      { hostPort: 2, hostIP: "192.0.2.1" },
      { hostPort: 3, protocol: "udp" },
      { hostPort: 4, hostIP: "0.0.0.0", containerPort: 8 },
      { hostPort: 5, hostIP: "2001:db8::1" },
    ];
    expect(rules(mappings).mappings).toEqual([
      `${map} ip saddr 10.88.0.0/24 tcp dport { 1, 4 } meta mark set meta mark | 0x00002000 ${end}`,
      `${map} ip saddr 10.88.0.0/24 ip daddr 192.0.2.1 tcp dport 2 meta mark set meta mark | 0x00002000 ${end}`,
      `${map} ip saddr 10.88.0.0/24 udp dport 3 meta mark set meta mark | 0x00002000 ${end}`,
      `${map} tcp dport 1 dnat to 10.88.0.7:80 ${end}`,
      `${map} ip daddr 192.0.2.1 tcp dport 2 dnat to 10.88.0.7:80 ${end}`,
      `${map} udp dport 3 dnat to 10.88.0.7:80 ${end}`,
      `${map} tcp dport 4 dnat to 10.88.0.7:8 ${end}`,
    ]);
  });

  test("of no mapping are none at all", () => {
    expect(rules([])).toEqual({ mappings: [], masquerading: [], impossible: [] });
    expect(rules([{ hostPort: 1, hostIP: "::" }])).toEqual({ mappings: [], masquerading: [], impossible: [] });
  });

  test("each carry the tag that says whose they are", () => {
    const config = parseConfig(
      parseNetConf(
        {
          cniVersion: "1.1.0",
          name: "pnet",
          type: "portmap",
          runtimeConfig: { portMappings: [{ hostPort: 1, containerPort: 2 }] },
        },
        "ADD",
      ).conf,
      noArgs,
      "ADD",
    );
    const made = attachmentRules(chainsOf(4), owner, config, parsePrefix("10.88.0.7/24")!, parseConditions([], 4));
    expect([...made.mappings, ...made.masquerading].map(({ tag }) => tag)).toEqual(
      Array.from({ length: 5 }, () => "pnet/eth0"),
    );
  });
});

test("only what is addressed to this host is looked at, and led to both chains", () => {
  for (const version of [4, 6] as const) {
    const chains = chainsOf(version);
    const home = `${version === 4 ? "ip" : "ip6"} cni_hostport`;
    expect(chains.entries.map((entry) => printed(rule(entry, entryStatements(chains))))).toEqual([
      `${home} prerouting fib daddr type local jump hostports_all`,
      `${home} output fib daddr type local jump hostports_all`,
    ]);
    expect(allRules(chains).map(printed)).toEqual([
      `${home} hostports_all jump hostip_hostports`,
      `${home} hostports_all jump hostports`,
    ]);
  }
});
