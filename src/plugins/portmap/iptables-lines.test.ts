import { describe, expect, test } from "vitest";
import { noArgs } from "../../cni/args.ts";
import { parseNetConf } from "../../cni/net-conf.ts";
import { parsePrefix } from "../../ip/prefix.ts";
import type { JsonObject } from "../../json/value.ts";
import { type NatTable, parseNat } from "../filter/nat-rules.ts";
import { parseConfig } from "./config.ts";
import { type IptablesSpec, linesToAdd } from "./iptables-lines.ts";
import { mappingChain } from "./words.ts";

const owner = { network: "pnet", containerId: "ctr1", ifName: "eth0" };
const own = mappingChain(owner);
const entry = String.raw`-m comment --comment "dnat name: \"pnet\" id: \"ctr1\" if: \"eth0\""`;
const comment = String.raw`-m comment --comment "if: \"eth0\""`;
const nothing: NatTable<unknown> = { chains: [], rules: [] };

function spec(mappings: readonly JsonObject[], more: JsonObject = {}, address = "10.88.0.7/24"): IptablesSpec {
  const runtimeConfig = { portMappings: mappings.map((mapping) => ({ containerPort: 80, ...mapping })) };
  const raw = { cniVersion: "1.1.0", name: "pnet", type: "portmap", runtimeConfig, ...more };
  const { conf } = parseNetConf(raw, "ADD");
  return { owner, config: parseConfig(conf, noArgs, "ADD"), address: parsePrefix(address)! };
}

const shared = [
  "-N CNI-HOSTPORT-DNAT",
  "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
  "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
  "-N CNI-HOSTPORT-SETMARK",
  '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000',
  "-N CNI-HOSTPORT-MASQ",
  "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
  '-I POSTROUTING 1 -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
];

describe("where there is nothing yet", () => {
  test("a mapping makes what all share, the container's chain, and the rule that leads there", () => {
    expect(linesToAdd(nothing, spec([{ hostPort: 8080 }]))).toEqual([
      ...shared,
      `-N ${own}`,
      `-A ${own} ${comment} -p tcp --dport 8080 -s 10.88.0.0/24 -j CNI-HOSTPORT-SETMARK`,
      `-A ${own} ${comment} -p tcp --dport 8080 -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK`,
      `-A ${own} ${comment} -p tcp --dport 8080 -j DNAT --to-destination 10.88.0.7:80`,
      `-A CNI-HOSTPORT-DNAT ${entry} -p tcp -m multiport --destination-ports 8080 -j ${own}`,
    ]);
  });

  test("IPv6 has brackets, and no localhost that could be masqueraded", () => {
    expect(linesToAdd(nothing, spec([{ hostPort: 8080 }], {}, "fd00:88::7/64")).slice(shared.length)).toEqual([
      `-N ${own}`,
      `-A ${own} ${comment} -p tcp --dport 8080 -s fd00:88::/64 -j CNI-HOSTPORT-SETMARK`,
      `-A ${own} ${comment} -p tcp --dport 8080 -j DNAT --to-destination [fd00:88::7]:80`,
      `-A CNI-HOSTPORT-DNAT ${entry} -p tcp -m multiport --destination-ports 8080 -j ${own}`,
    ]);
  });

  const dnat = `-A ${own} ${comment} -p tcp --dport 8080 -j DNAT --to-destination 10.88.0.7:80`;
  const leads = `-A CNI-HOSTPORT-DNAT ${entry} -p tcp -m multiport --destination-ports 8080 -j ${own}`;
  test.each<[string, JsonObject, string[]]>([
    [
      "without snat nothing is marked, nor masqueraded",
      { snat: false },
      [...shared.slice(0, 3), `-N ${own}`, dnat, leads],
    ],
    [
      "with masqAll everybody is",
      { masqAll: true },
      [
        ...shared,
        `-N ${own}`,
        `-A ${own} ${comment} -p tcp --dport 8080 -s 0.0.0.0/0 -j CNI-HOSTPORT-SETMARK`,
        dnat,
        leads,
      ],
    ],
    [
      "a chain of somebody else's marks, and masquerades",
      { externalSetMarkChain: "KUBE-MARK-MASQ" },
      [
        ...shared.slice(0, 3),
        `-N ${own}`,
        `-A ${own} ${comment} -p tcp --dport 8080 -s 10.88.0.0/24 -j KUBE-MARK-MASQ`,
        `-A ${own} ${comment} -p tcp --dport 8080 -s 127.0.0.1 -j KUBE-MARK-MASQ`,
        dnat,
        leads,
      ],
    ],
    [
      "conditions stand in the rule that leads to the chain, each word quoted",
      { snat: false, conditionsV4: ["!", "-d", "192.0.2.9", "-m", "comment", "--comment", 'a "b" c'] },
      [
        ...shared.slice(0, 3),
        `-N ${own}`,
        dnat,
        String.raw`-A CNI-HOSTPORT-DNAT ${entry} -p tcp -m multiport --destination-ports 8080 "!" "-d" "192.0.2.9" "-m" "comment" "--comment" "a \"b\" c" -j ${own}`,
      ],
    ],
    [
      "another bit of the mark has rules of its own",
      { markMasqBit: 31 },
      [
        ...shared.map((line) => line.replaceAll("0x2000", "0x80000000")),
        `-N ${own}`,
        `-A ${own} ${comment} -p tcp --dport 8080 -s 10.88.0.0/24 -j CNI-HOSTPORT-SETMARK`,
        `-A ${own} ${comment} -p tcp --dport 8080 -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK`,
        dnat,
        leads,
      ],
    ],
  ])("%s", (_, more, want) => {
    expect(linesToAdd(nothing, spec([{ hostPort: 8080 }], more))).toEqual(want);
  });

  test("an address of the node stands in each rule of its mapping; one of the other IP version makes no rule", () => {
    const mappings = [
      { hostPort: 1, hostIP: "192.0.2.1" },
      { hostPort: 2, hostIP: "2001:db8::1" },
      { hostPort: 3, hostIP: "0.0.0.0" },
    ];
    const chosen = linesToAdd(nothing, spec(mappings, { snat: false })).filter((line) => line.includes("--d"));
    expect(chosen.filter((line) => line.startsWith(`-A ${own}`))).toEqual([
      `-A ${own} ${comment} -p tcp --dport 1 -d 192.0.2.1 -j DNAT --to-destination 10.88.0.7:80`,
      `-A ${own} ${comment} -p tcp --dport 3 -j DNAT --to-destination 10.88.0.7:80`,
    ]);
    expect(chosen.at(-1)).toContain("--destination-ports 1,3 ");
  });

  test("ports of one protocol share a rule up to 15, each once, protocols by name", () => {
    const mappings = [
      { hostPort: 53, protocol: "udp" },
      ...Array.from({ length: 17 }, (_, index) => ({ hostPort: 8000 + index })),
      { hostPort: 8000, hostIP: "192.0.2.1" },
      { hostPort: 9, protocol: "sctp" },
    ];
    const lines = linesToAdd(nothing, spec(mappings)).filter((line) => line.startsWith("-A CNI-HOSTPORT-DNAT"));
    const list = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, index) => from + index).join(",");
    expect(lines).toEqual(
      [
        ["sctp", "9"],
        ["tcp", list(8000, 8014)],
        ["tcp", list(8015, 8016)],
        ["udp", "53"],
      ].map(
        ([protocol, ports]) =>
          `-A CNI-HOSTPORT-DNAT ${entry} -p ${protocol} -m multiport --destination-ports ${ports} -j ${own}`,
      ),
    );
  });
});

describe("where there is something already", () => {
  const list = (lines: readonly string[]) => parseNat(lines.join("\n"));
  /** As `iptables -S` prints what `shared` makes. */
  const sharedThere = shared.map((line) => line.replace("-I POSTROUTING 1", "-A POSTROUTING"));

  test("what all share is not made again", () => {
    expect(linesToAdd(list(sharedThere), spec([{ hostPort: 8080 }]))[0]).toBe(`-N ${own}`);
  });

  test("a mark of another network's config does not count as ours", () => {
    const lines = linesToAdd(list(sharedThere), spec([{ hostPort: 8080 }], { markMasqBit: 5 }));
    expect(lines.slice(0, 3)).toEqual([
      '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x20/0x20',
      "-A CNI-HOSTPORT-MASQ -m mark --mark 0x20/0x20 -j MASQUERADE",
      `-N ${own}`,
    ]);
  });

  test("an earlier ADD of the interface is replaced; upstream's rules go, those of the container's other interface stay", () => {
    const otherEntry = entry.replace("eth0", "net1");
    const otherRule = comment.replace("eth0", "net1");
    const upstreamEntry = String.raw`-m comment --comment "dnat name: \"pnet\" id: \"ctr1\""`;
    const before = list([
      ...sharedThere,
      `-N ${own}`,
      `-A CNI-HOSTPORT-DNAT ${entry} -p tcp -m multiport --dports 7000 -j ${own}`,
      `-A CNI-HOSTPORT-DNAT ${otherEntry} -p tcp -m multiport --dports 7001 -j ${own}`,
      `-A CNI-HOSTPORT-DNAT ${upstreamEntry} -p tcp -m multiport --dports 7002 -j ${own}`,
      `-A ${own} ${comment} -p tcp --dport 7000 -j DNAT --to-destination 10.88.0.7:80`,
      `-A ${own} ${otherRule} -p tcp --dport 7001 -j DNAT --to-destination 10.88.1.7:80`,
      `-A ${own} -p tcp --dport 7002 -j DNAT --to-destination 10.88.0.7:80`,
    ]);
    expect(linesToAdd(before, spec([{ hostPort: 8080 }], { snat: false }))).toEqual([
      `-D CNI-HOSTPORT-DNAT ${entry} -p tcp -m multiport --dports 7000 -j ${own}`,
      `-D CNI-HOSTPORT-DNAT ${upstreamEntry} -p tcp -m multiport --dports 7002 -j ${own}`,
      `:${own} - [0:0]`,
      `-A ${own} ${otherRule} -p tcp --dport 7001 -j DNAT --to-destination 10.88.1.7:80`,
      `-A ${own} ${comment} -p tcp --dport 8080 -j DNAT --to-destination 10.88.0.7:80`,
      `-A CNI-HOSTPORT-DNAT ${entry} -p tcp -m multiport --destination-ports 8080 -j ${own}`,
    ]);
  });
});
