// What becomes of port mappings: whose rules they are, what DEL and GC take away, what CHECK says, and what a person is told.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Result } from "../../src/cni/result.ts";
import { parsePrefix } from "../../src/ip/prefix.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { type Attachment, dns, mappingCall, nowhere, resultOf, useMappingSite, web } from "../kit/mapping-site.ts";

const backends = ["iptables", "nftables"] as const;
const site = useMappingSite();

async function complaint(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "",
    (error: unknown) => String(error),
  );
}

describe.each(backends)("rules by %s", (backend) => {
  const own = { backend };

  test("are gone after a DEL that knows nothing but the names, and so is a second DEL", async () => {
    await site().add({ own });
    expect(site().present()).toHaveLength(backend === "iptables" ? 16 : 13);
    await site().del();
    expect(site().present()).toEqual([]);
    await site().del();
  });

  test("are gone after a DEL whose config is refused", async () => {
    await site().add({ own });
    await site().del({ own: { backend: "ebtables" }, mappings: [{ hostPort: -1 }] });
    expect(site().present()).toEqual([]);
  });

  test("of a repeated ADD are those of the last one", async () => {
    await site().add({ own, mappings: [web] });
    const once = site().present();
    await site().add({ own, mappings: [web, dns] });
    await site().add({ own, mappings: [web] });
    expect(site().present()).toEqual(once);
    await site().add({ own, mappings: [web], prevResult: resultOf("10.1.2.3/24") });
    expect(
      site()
        .present()
        .filter((line) => line.includes("10.1.2.2")),
    ).toEqual([]);
  });

  test("of a container's other networks and interfaces stay", async () => {
    const others = [
      { own, network: "net2", prevResult: resultOf("10.2.2.2/24", "fd00:2::2/64") },
      { own, ifName: "eth1", prevResult: resultOf("10.1.2.3/24", "fd00:1::3/64") },
      { own, containerId: "ctr2", prevResult: resultOf("10.1.2.4/24", "fd00:1::4/64") },
    ];
    for (const [index, other] of others.entries()) {
      await site().add({
        ...other,
        mappings: [
          { ...web, hostPort: 8081 + index },
          { ...dns, hostPort: 5301 + index },
        ],
      });
    }
    const before = site().present();
    await site().add({ own });
    expect(await complaint(site().caller.call(mappingCall("CHECK", { own, mappings: [web, dns] })))).toBe("");
    await site().del();
    expect(site().present()).toEqual(before);
    for (const [index, { prevResult, own, ...other }] of others.entries()) {
      const mappings = [{ ...web, hostPort: 8081 + index }];
      const check = () => site().caller.call(mappingCall("CHECK", { ...other, own, prevResult, mappings }));
      expect(await complaint(check())).toBe("");
      await site().del(other);
      expect(await complaint(check())).not.toBe("");
    }
    expect(site().present()).toEqual([]);
  });

  test("of attachments that are no more are collected, in this network only", async () => {
    const kept: Attachment[] = [
      { own },
      { own, network: "net2", prevResult: resultOf("10.2.2.2/24") },
      { own, network: "net2", containerId: "gone", prevResult: resultOf("10.2.2.3/24") },
    ];
    for (const each of kept) await site().add(each);
    const before = site().present();
    await site().add({ own, ifName: "eth1", prevResult: resultOf("10.1.2.3/24", "fd00:1::3/64") });
    await site().add({ own, containerId: "gone", prevResult: resultOf("10.1.2.4/24", "fd00:1::4/64") });
    const gc = (...valid: JsonObject[]) =>
      site().caller.call(mappingCall("GC", { own: { "cni.dev/valid-attachments": valid } }));
    await gc({ containerID: "ctr1", ifname: "eth0" }, { containerID: "other", ifname: "eth0" });
    expect(site().present()).toEqual(before);
    await gc();
    expect(
      site()
        .present()
        .every((line) => !line.includes("10.1.2.") && !line.includes("fd00:1:")),
    ).toBe(true);
    for (const each of kept.slice(1))
      expect(await complaint(site().caller.call(mappingCall("CHECK", { ...each, mappings: [web] })))).toBe("");
    expect(await complaint(site().caller.call(mappingCall("CHECK", { own, mappings: [web] })))).not.toBe("");
  });

  test("that are missing fail CHECK, which says what is", async () => {
    const check = (mappings: readonly object[] = [web, dns]) =>
      complaint(site().caller.call(mappingCall("CHECK", { own, mappings })));
    const words = backend === "iptables" ? "could not check ipv4 dnat: " : "missing hostport rules in";
    expect(await check()).toContain(words);
    await site().add({ own });
    expect(await check()).toBe("");
    expect(await check([])).toBe("");
    expect(await check([{ ...web, containerPort: 81 }])).toContain(words);
    const table = backend === "iptables" ? "nat" : "cni_hostport";
    const entry = backend === "iptables" ? "OUTPUT" : "output";
    site().node.run("nft", "flush", "chain", "ip6", table, entry);
    expect(await check()).toContain(entry);
    await site().add({ own });
    expect(await check()).toBe("");
    site().node.run("nft", "flush", "ruleset");
    expect(await check()).toContain(words);
    await site().add({ own });
    expect(await check()).toBe("");
  });

  test("by many calls at once lose nobody's, and leave nobody's", async () => {
    const many = Array.from({ length: 8 }, (_, n) => ({
      own,
      containerId: `c${n}`,
      prevResult: resultOf(`10.1.2.${n + 2}/24`),
    }));
    const executable = join(polynicBin, "portmap");
    const run = (command: string) =>
      Promise.all(
        many.map(({ containerId }, n) =>
          mustCallCni({
            executable,
            command,
            containerId,
            ifName: "eth0",
            netns: nowhere,
            node: site().node,
            config: {
              cniVersion: "1.1.0",
              name: "net1",
              type: "portmap",
              backend,
              runtimeConfig: { portMappings: [{ ...web, hostPort: 8000 + n }] },
              prevResult: {
                cniVersion: "1.1.0",
                ips: [{ address: `10.1.2.${n + 2}/24` }, { address: `fd00:1::${n + 2}/64` }],
              },
            },
          }),
        ),
      );
    await run("ADD");
    for (const [n, each] of many.entries()) {
      const mappings = [{ ...web, hostPort: 8000 + n }];
      expect(await complaint(site().caller.call(mappingCall("CHECK", { ...each, mappings })))).toBe("");
    }
    const nat = backend === "iptables" ? "iptables-save -t nat" : "nft list table ip cni_hostport";
    expect(
      site()
        .node.run(
          "sh",
          "-c",
          `${nat} | grep -ciE 'PREROUTING .*CNI-HOSTPORT-DNAT|fib daddr type local jump hostports_all'`,
        )
        .trim(),
    ).toBe(backend === "iptables" ? "1" : "2");
    await run("DEL");
    expect(site().present()).toEqual([]);
  });

  test("of an ADD that fails half-way are taken back", async () => {
    const bad: JsonObject =
      backend === "iptables" ? { conditionsV6: ["--no-such-option"] } : { conditionsV6: ["ip6", "saddr", "@nobody"] };
    expect(await complaint(site().add({ own: { ...own, ...bad } }))).toMatch(
      backend === "iptables"
        ? /unable to set up port mappings of network net1: ip6tables-restore ended with/
        : /"@nobody" is not an IPv6 address/,
    );
    expect(site().present()).toEqual([]);
  });

  test("are for the address that the previous result has for the interface", async () => {
    const prevResult: Result = {
      ...resultOf(),
      interfaces: [{ name: "br0" }, { name: "eth0", sandbox: nowhere }, { name: "net1", sandbox: nowhere }],
      ips: [
        ["10.9.9.1/24", 0],
        ["10.9.9.2/24", 2],
        ["10.1.2.9/24", 1],
        ["10.1.2.10/24", undefined],
        ["fd00:1::9/64", 7],
      ].map(([text, index]) => ({
        address: parsePrefix(String(text)) ?? expect.fail(),
        ...(typeof index === "number" ? { interface: index } : {}),
      })),
    };
    await site().add({ own, prevResult, mappings: [web] });
    const targets = site()
      .present()
      .flatMap((line) => /(?:dnat to|--to-destination) (\S+)/.exec(line)?.[1] ?? []);
    expect(targets.sort()).toEqual(["10.1.2.9:80", "[fd00:1::9]:80"]);
  });
});

describe("a call", () => {
  test("hands the previous result on, with and without mappings", async () => {
    const prevResult = { ...resultOf(), dns: { domain: "example.test" } };
    for (const mappings of [[], [web]])
      expect(await site().caller.add(mappingCall("ADD", { mappings, prevResult }))).toEqual(prevResult);
    await site().caller.call(mappingCall("ADD", { containerId: "ctr2", prevResult }));
    expect(
      site()
        .present()
        .some((line) => line.includes("ctr2")),
    ).toBe(false);
  });

  test("without a previous result is no chained one", async () => {
    const { prevResult: _, ...rest } = mappingCall("ADD", { mappings: [web] });
    expect(await complaint(site().caller.call(rest))).toContain("must be called as chained plugin");
  });

  test("for a pod without an address maps nothing and says so", async () => {
    await site().add({ prevResult: { ...resultOf(), ips: [] } });
    expect(site().present()).toEqual([]);
    expect(site().messages()).toContain("no port of the node leads to eth0: the previous result has no address for it");
  });
});

describe("what a person should know", () => {
  const own = { backend: "nftables" };

  test("is logged: a port that another container has, and conditions that exclude a protocol", async () => {
    await site().add({ own });
    await site().add({
      own: { ...own, conditionsV4: ["tcp sport 1024-65535"] },
      containerId: "ctr2",
      prevResult: resultOf("10.1.2.3/24"),
    });
    expect(site().messages()).toEqual(
      expect.arrayContaining([
        "host port 8080/tcp leads to container ctr1 already, which keeps it",
        "host port 5300/udp leads nowhere: the conditions of network net1 exclude udp",
      ]),
    );
    expect(
      site()
        .present()
        .filter((line) => line.includes('"ctr2"')),
    ).toEqual([
      expect.stringContaining("ip daddr 10.1.2.3 meta mark"),
      'ip saddr 10.1.2.3 ip daddr 10.1.2.3 masquerade comment "ctr2"',
      'ip saddr 127.0.0.1 ip daddr 10.1.2.3 masquerade comment "ctr2"',
      expect.stringContaining("tcp sport 1024-65535 ip saddr 10.1.2.0/24 tcp dport 8080 meta mark set"),
      'tcp sport 1024-65535 tcp dport 8080 dnat to 10.1.2.3:80 comment "ctr2"',
    ]);
  });
});

test("entries that catch what is for other hosts, as upstream's before 1.9.0 did, are put right", async () => {
  const script = [
    "add table ip cni_hostport",
    "add chain ip cni_hostport hostports",
    "add chain ip cni_hostport hostip_hostports",
    "add chain ip cni_hostport hostports_all",
    "add rule ip cni_hostport hostports_all jump hostip_hostports",
    "add rule ip cni_hostport hostports_all jump hostports",
    "add chain ip cni_hostport prerouting { type nat hook prerouting priority -100; }",
    "add rule ip cni_hostport prerouting jump hostports_all",
    "add chain ip cni_hostport output { type nat hook output priority -100; }",
    "add rule ip cni_hostport output ip saddr 10.0.0.0/8 fib daddr type local jump hostports_all",
  ];
  site().node.run("sh", "-c", `printf '%s\\n' ${script.map((line) => `'${line}'`).join(" ")} | nft -f -`);
  await site().add({ own: { backend: "nftables" }, prevResult: resultOf("10.1.2.2/24") });
  const entries = (name: string) =>
    site()
      .node.run("nft", "list", "chain", "ip", "cni_hostport", name)
      .match(/[^\t]*jump.*/g);
  expect(entries("prerouting")).toEqual(["fib daddr type local jump hostports_all"]);
  expect(entries("output")).toEqual([
    "ip saddr 10.0.0.0/8 fib daddr type local jump hostports_all",
    "fib daddr type local jump hostports_all",
  ]);
  expect(entries("hostports_all")).toHaveLength(2);
});

test("localhost is routed on the interface that the pod is behind, unless snat is off", async () => {
  site().node.ip("link add br0 type bridge", "link set br0 up", "addr add 10.1.2.1/24 dev br0");
  const routed = () => site().node.run("sysctl", "-n", "net.ipv4.conf.br0.route_localnet").trim();
  await site().add({ own: { snat: false } });
  expect(routed()).toBe("0");
  await site().add();
  expect(routed()).toBe("1");
  expect(
    site().node.run("sysctl", "-n", "net.ipv4.conf.all.route_localnet", "net.ipv4.conf.lo.route_localnet").trim(),
  ).toBe("0\n0");
});
