// What becomes of port mappings: whose rules they are, what DEL and GC take away, what CHECK and STATUS say, and which back end makes them.
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parsePrefix } from "../../src/ip/prefix.ts";
import type { Result } from "../../src/cni/result.ts";
import type { JsonObject } from "../../src/json/value.ts";
import { type BuiltinCall, BuiltinCaller } from "../kit/builtin-caller.ts";
import { callCni, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { NodeNetns } from "../kit/node-netns.ts";
import { findExecutable, searchPath } from "../kit/packages.ts";

const backends = ["iptables", "nftables"] as const;
const web = { hostPort: 8080, containerPort: 80, protocol: "tcp" };
const dns = { hostPort: 5300, containerPort: 53, protocol: "udp" };
const nowhere = "/run/netns/none";

let node: NodeNetns;
let caller: BuiltinCaller;
beforeEach(() => {
  node = new NodeNetns();
  caller = new BuiltinCaller(node);
});
afterEach(() => {
  caller[Symbol.dispose]();
  node[Symbol.dispose]();
});

/** What a plugin that gave the pod these addresses has answered; without any, one per IP version. */
function resultOf(...texts: string[]): Result {
  const given = texts.length === 0 ? ["10.1.2.2/24", "fd00:1::2/64"] : texts;
  return {
    interfaces: [],
    ips: given.map((text) => ({ address: parsePrefix(text) ?? expect.fail(text) })),
    routes: [],
    dns: {},
  };
}

interface Attachment extends Partial<Omit<BuiltinCall, "verb" | "config">> {
  readonly network?: string;
  readonly mappings?: readonly object[];
  readonly own?: JsonObject;
}

function call(verb: BuiltinCall["verb"], { network, mappings, own, ...more }: Attachment = {}): BuiltinCall {
  return {
    verb,
    pod: nowhere,
    containerId: "ctr1",
    ifName: "eth0",
    ...(verb === "ADD" || verb === "CHECK" ? { prevResult: resultOf() } : {}),
    ...more,
    config: {
      type: "portmap",
      ...(network === undefined ? { name: "net1" } : { name: network }),
      ...(mappings === undefined ? {} : { runtimeConfig: { portMappings: mappings as JsonObject[] } }),
      ...own,
    },
  };
}

async function add(attachment: Attachment = {}): Promise<void> {
  await caller.call(call("ADD", { mappings: [web, dns], ...attachment }));
}

/** Knows nothing but the names, unless told. */
async function del(attachment: Attachment = {}): Promise<void> {
  await caller.call(call("DEL", attachment));
}

async function complaint(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "",
    (error: unknown) => String(error),
  );
}

/** Rules and chains that are somebody's, of whichever back end, as text. */
function present(): string[] {
  const nft = node
    .run("sh", "-c", "nft -s list table ip cni_hostport; nft -s list table ip6 cni_hostport; true")
    .split("\n");
  const saved = ["iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"].map((name) => `${name}-save`);
  const iptables = node.run("sh", "-c", `for each in ${saved.join(" ")}; do $each 2>/dev/null; done; true`).split("\n");
  return [...nft.filter((line) => line.includes(' comment "')), ...iptables.filter((line) => line.includes("CNI-DN-"))]
    .map((line) => line.trim())
    .filter((line) => line !== 'comment "CNI portmap plugin"')
    .sort();
}

describe.each(backends)("rules by %s", (backend) => {
  const own = { backend };

  test("are gone after a DEL that knows nothing but the names, and so is a second DEL", async () => {
    await add({ own });
    expect(present()).toHaveLength(backend === "iptables" ? 16 : 13);
    await del();
    expect(present()).toEqual([]);
    await del();
  });

  test("are gone after a DEL whose config is refused", async () => {
    await add({ own });
    await del({ own: { backend: "ebtables" }, mappings: [{ hostPort: -1 }] });
    expect(present()).toEqual([]);
  });

  test("of a repeated ADD are those of the last one", async () => {
    await add({ own, mappings: [web] });
    const once = present();
    await add({ own, mappings: [web, dns] });
    await add({ own, mappings: [web] });
    expect(present()).toEqual(once);
    await add({ own, mappings: [web], prevResult: resultOf("10.1.2.3/24") });
    expect(present().filter((line) => line.includes("10.1.2.2"))).toEqual([]);
  });

  test("of a container's other networks and interfaces stay", async () => {
    const others = [
      { own, network: "net2", prevResult: resultOf("10.2.2.2/24", "fd00:2::2/64") },
      { own, ifName: "eth1", prevResult: resultOf("10.1.2.3/24", "fd00:1::3/64") },
      { own, containerId: "ctr2", prevResult: resultOf("10.1.2.4/24", "fd00:1::4/64") },
    ];
    for (const [index, other] of others.entries()) {
      await add({
        ...other,
        mappings: [
          { ...web, hostPort: 8081 + index },
          { ...dns, hostPort: 5301 + index },
        ],
      });
    }
    const before = present();
    await add({ own });
    expect(await complaint(caller.call(call("CHECK", { own, mappings: [web, dns] })))).toBe("");
    await del();
    expect(present()).toEqual(before);
    for (const [index, { prevResult, own, ...other }] of others.entries()) {
      const mappings = [{ ...web, hostPort: 8081 + index }];
      const check = () => caller.call(call("CHECK", { ...other, own, prevResult, mappings }));
      expect(await complaint(check())).toBe("");
      await del(other);
      expect(await complaint(check())).not.toBe("");
    }
    expect(present()).toEqual([]);
  });

  test("of attachments that are no more are collected, in this network only", async () => {
    const kept: Attachment[] = [
      { own },
      { own, network: "net2", prevResult: resultOf("10.2.2.2/24") },
      { own, network: "net2", containerId: "gone", prevResult: resultOf("10.2.2.3/24") },
    ];
    for (const each of kept) await add(each);
    const before = present();
    await add({ own, ifName: "eth1", prevResult: resultOf("10.1.2.3/24", "fd00:1::3/64") });
    await add({ own, containerId: "gone", prevResult: resultOf("10.1.2.4/24", "fd00:1::4/64") });
    const gc = (...valid: JsonObject[]) => caller.call(call("GC", { own: { "cni.dev/valid-attachments": valid } }));
    await gc({ containerID: "ctr1", ifname: "eth0" }, { containerID: "other", ifname: "eth0" });
    expect(present()).toEqual(before);
    await gc();
    expect(present().every((line) => !line.includes("10.1.2.") && !line.includes("fd00:1:"))).toBe(true);
    for (const each of kept.slice(1))
      expect(await complaint(caller.call(call("CHECK", { ...each, mappings: [web] })))).toBe("");
    expect(await complaint(caller.call(call("CHECK", { own, mappings: [web] })))).not.toBe("");
  });

  test("that are missing fail CHECK, which says what is", async () => {
    const check = (mappings: readonly object[] = [web, dns]) =>
      complaint(caller.call(call("CHECK", { own, mappings })));
    const words = backend === "iptables" ? "could not check ipv4 dnat: " : "missing hostport rules in";
    expect(await check()).toContain(words);
    await add({ own });
    expect(await check()).toBe("");
    expect(await check([])).toBe("");
    expect(await check([{ ...web, containerPort: 81 }])).toContain(words);
    const table = backend === "iptables" ? "nat" : "cni_hostport";
    const entry = backend === "iptables" ? "OUTPUT" : "output";
    node.run("nft", "flush", "chain", "ip6", table, entry);
    expect(await check()).toContain(entry);
    await add({ own });
    expect(await check()).toBe("");
    node.run("nft", "flush", "ruleset");
    expect(await check()).toContain(words);
    await add({ own });
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
            node,
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
      expect(await complaint(caller.call(call("CHECK", { ...each, mappings })))).toBe("");
    }
    const nat = backend === "iptables" ? "iptables-save -t nat" : "nft list table ip cni_hostport";
    expect(
      node
        .run("sh", "-c", `${nat} | grep -ciE 'PREROUTING .*CNI-HOSTPORT-DNAT|fib daddr type local jump hostports_all'`)
        .trim(),
    ).toBe(backend === "iptables" ? "1" : "2");
    await run("DEL");
    expect(present()).toEqual([]);
  });

  test("of an ADD that fails half-way are taken back", async () => {
    const bad: JsonObject =
      backend === "iptables" ? { conditionsV6: ["--no-such-option"] } : { conditionsV6: ["ip6", "saddr", "@nobody"] };
    expect(await complaint(add({ own: { ...own, ...bad } }))).toMatch(
      backend === "iptables"
        ? /unable to set up port mappings of network net1: ip6tables-restore ended with/
        : /"@nobody" is not an IPv6 address/,
    );
    expect(present()).toEqual([]);
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
    await add({ own, prevResult, mappings: [web] });
    const targets = present().flatMap((line) => /(?:dnat to|--to-destination) (\S+)/.exec(line)?.[1] ?? []);
    expect(targets.sort()).toEqual(["10.1.2.9:80", "[fd00:1::9]:80"]);
  });
});

describe("the back end", () => {
  const hidden = useTemporaryFolder();

  /** The executable where no iptables can be run, and where only the legacy one is found under the usual names. */
  const without = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount --bind /dev/null "$(readlink -f "$(command -v iptables)")"; exec "$@"',
    "sh",
  ];
  function legacy(): Record<string, string> {
    const folder = join(hidden().path, "legacy");
    mkdirSync(folder, { recursive: true });
    for (const name of ["iptables", "ip6tables"]) {
      for (const suffix of ["", "-restore"]) {
        symlinkSync(findExecutable(`${name}-legacy${suffix}`) ?? "", join(folder, `${name}${suffix}`));
      }
    }
    return { PATH: `${folder}:${searchPath}` };
  }

  function execute(command: string, config: object, more: object = {}) {
    return callCni({
      executable: join(polynicBin, "portmap"),
      command,
      containerId: "ctr1",
      ifName: "eth0",
      netns: nowhere,
      node,
      config: {
        cniVersion: "1.1.0",
        name: "net1",
        type: "portmap",
        runtimeConfig: { portMappings: [web, dns] },
        ...(["STATUS", "GC"].includes(command)
          ? {}
          : { prevResult: { cniVersion: "1.1.0", ips: [{ address: "10.1.2.2/24" }] } }),
        ...config,
      },
      ...more,
    });
  }

  test("is iptables by default, and the log says so", async () => {
    await add();
    expect(present().some((line) => line.includes("CNI-DN-"))).toBe(true);
    expect(caller.log.map(({ message }) => message)).toContain("port mappings of eth0 by iptables (by default)");
    await caller.call(call("STATUS"));
    expect(caller.log.map(({ message }) => message)).toContain("port mappings by iptables (by default)");
    await add({ own: { conditionsV4: ["ip", "saddr", "10.0.0.0/8"] }, containerId: "ctr2" });
    expect(caller.log.map(({ message }) => message)).toContain(
      "port mappings of eth0 by nftables (for the sake of conditionsV4)",
    );
  });

  test("is nftables where iptables can't be run", async () => {
    expect((await execute("ADD", {}, { wrapper: without })).exitCode).toBe(0);
    expect(present().filter((line) => line.includes("dnat to"))).toHaveLength(2);
    expect(await execute("CHECK", {}, { wrapper: without })).toMatchObject({ exitCode: 0, stdout: "" });
    expect(await execute("STATUS", {}, { wrapper: without })).toMatchObject({ exitCode: 0, stdout: "" });
    expect(await execute("DEL", {}, { wrapper: without })).toMatchObject({ exitCode: 0, stdout: "" });
    expect(present()).toEqual([]);
  });

  test("that is asked for and can't be is named by ADD, and code 50 of STATUS", async () => {
    const wish = { backend: "iptables" };
    expect((await execute("ADD", wish, { wrapper: without })).result).toMatchObject({
      code: 999,
      msg: expect.stringMatching(/^unable to set up port mappings of network net1: iptables.* is not on this host/),
    });
    expect((await execute("STATUS", wish, { wrapper: without })).result).toMatchObject({
      code: 50,
      msg: expect.stringMatching(/^port mappings can't be made here: iptables is not on this host/),
    });
    expect(await execute("STATUS", wish)).toMatchObject({ exitCode: 0, stdout: "" });
  });

  test("need not be there for DEL and GC of what iptables-nft has made", async () => {
    expect((await execute("ADD", {})).exitCode).toBe(0);
    expect(await execute("DEL", {}, { wrapper: without })).toMatchObject({ exitCode: 0, stdout: "" });
    expect(present()).toEqual([]);
    expect((await execute("ADD", {})).exitCode).toBe(0);
    expect(await execute("GC", { "cni.dev/valid-attachments": [] }, { wrapper: without })).toMatchObject({
      exitCode: 0,
    });
    expect(present()).toEqual([]);
  });

  test("may be the iptables of old", async () => {
    const old = { env: legacy() };
    for (const command of ["ADD", "CHECK", "ADD", "CHECK"]) {
      expect(await execute(command, {}, old)).toMatchObject({ exitCode: 0 });
    }
    const dnat = () =>
      node
        .run("iptables-legacy-save", "-t", "nat")
        .split("\n")
        .filter((line) => line.includes("--to-destination"));
    expect(dnat()).toHaveLength(2);
    expect(node.run("nft", "list", "tables")).toBe("");
    expect(
      (
        await execute(
          "ADD",
          { prevResult: { cniVersion: "1.1.0", ips: [{ address: "10.1.2.3/24" }] } },
          { ...old, ifName: "eth1" },
        )
      ).exitCode,
    ).toBe(0);
    expect(dnat()).toHaveLength(4);
    expect(await execute("DEL", {}, old)).toMatchObject({ exitCode: 0, stdout: "" });
    expect(dnat()).toHaveLength(2);
    expect(
      await execute("GC", { "cni.dev/valid-attachments": [{ containerID: "ctr1", ifname: "eth1" }] }, old),
    ).toMatchObject({ exitCode: 0 });
    expect(dnat()).toHaveLength(2);
    expect(await execute("GC", { "cni.dev/valid-attachments": [] }, old)).toMatchObject({ exitCode: 0 });
    expect(present()).toEqual([]);
  });
});

describe("a call", () => {
  test("hands the previous result on, with and without mappings", async () => {
    const prevResult = { ...resultOf(), dns: { domain: "example.test" } };
    for (const mappings of [[], [web]])
      expect(await caller.add(call("ADD", { mappings, prevResult }))).toEqual(prevResult);
    await caller.call(call("ADD", { containerId: "ctr2", prevResult }));
    expect(present().some((line) => line.includes("ctr2"))).toBe(false);
  });

  test("without a previous result is no chained one", async () => {
    const { prevResult: _, ...rest } = call("ADD", { mappings: [web] });
    expect(await complaint(caller.call(rest))).toContain("must be called as chained plugin");
  });

  test("for a pod without an address maps nothing and says so", async () => {
    await add({ prevResult: { ...resultOf(), ips: [] } });
    expect(present()).toEqual([]);
    expect(caller.log.map(({ message }) => message)).toContain(
      "no port of the node leads to eth0: the previous result has no address for it",
    );
  });
});

describe("what a person should know", () => {
  const own = { backend: "nftables" };

  test("is logged: a port that another container has, and conditions that exclude a protocol", async () => {
    await add({ own });
    await add({
      own: { ...own, conditionsV4: ["tcp sport 1024-65535"] },
      containerId: "ctr2",
      prevResult: resultOf("10.1.2.3/24"),
    });
    expect(caller.log.map(({ message }) => message)).toEqual(
      expect.arrayContaining([
        "host port 8080/tcp leads to container ctr1 already, which keeps it",
        "host port 5300/udp leads nowhere: the conditions of network net1 exclude udp",
      ]),
    );
    expect(present().filter((line) => line.includes('"ctr2"'))).toEqual([
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
  node.run("sh", "-c", `printf '%s\\n' ${script.map((line) => `'${line}'`).join(" ")} | nft -f -`);
  await add({ own: { backend: "nftables" }, prevResult: resultOf("10.1.2.2/24") });
  const entries = (name: string) => node.run("nft", "list", "chain", "ip", "cni_hostport", name).match(/[^\t]*jump.*/g);
  expect(entries("prerouting")).toEqual(["fib daddr type local jump hostports_all"]);
  expect(entries("output")).toEqual([
    "ip saddr 10.0.0.0/8 fib daddr type local jump hostports_all",
    "fib daddr type local jump hostports_all",
  ]);
  expect(entries("hostports_all")).toHaveLength(2);
});

test("localhost is routed on the interface that the pod is behind, unless snat is off", async () => {
  node.ip("link add br0 type bridge", "link set br0 up", "addr add 10.1.2.1/24 dev br0");
  const routed = () => node.run("sysctl", "-n", "net.ipv4.conf.br0.route_localnet").trim();
  await add({ own: { snat: false } });
  expect(routed()).toBe("0");
  await add();
  expect(routed()).toBe("1");
  expect(node.run("sysctl", "-n", "net.ipv4.conf.all.route_localnet", "net.ipv4.conf.lo.route_localnet").trim()).toBe(
    "0\n0",
  );
});
