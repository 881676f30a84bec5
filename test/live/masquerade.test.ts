import { chmodSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parsePrefix, type Prefix } from "../../src/ip/prefix.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { NetlinkError } from "../../src/netlink/error.ts";
import { Netns } from "../../src/netns/netns.ts";
import { refused } from "../../src/nft/error.ts";
import { Nft } from "../../src/nft/nft.ts";
import type { Chain, Table } from "../../src/nft/object.ts";
import type { Transaction } from "../../src/nft/transaction.ts";
import { addMasqueradeRules } from "../../src/plugins/filter/masquerade-nftables.ts";
import {
  checkMasquerade,
  gcMasquerade,
  type MasqueradeBackend,
  type MasqueradeSpec,
  setupMasquerade,
  teardownMasquerade,
} from "../../src/plugins/filter/masquerade.ts";
import { UndoScope } from "../../src/undo/undo.ts";
import { runCommand } from "../kit/command.ts";
import { useDisposable, useLan, useTemporaryFolder } from "../kit/hooks.ts";
import { NodeNetns } from "../kit/node-netns.ts";

function prefix(text: string): Prefix {
  return parsePrefix(text) ?? expect.fail(text);
}

const ENOENT = 2;
const backends: readonly MasqueradeBackend[] = ["nftables", "iptables"];
const dual = [prefix("10.1.2.2/24"), prefix("fd00:1::2/64")];

function spec(backend: MasqueradeBackend | undefined, more: Partial<MasqueradeSpec> = {}): MasqueradeSpec {
  return { backend, network: "net1", containerId: "ctr1", ifName: "eth0", addresses: dual, ...more };
}

let node: NodeNetns;
let host: Netns;
beforeEach(() => {
  node = new NodeNetns();
  host = Netns.open(node.path);
});
afterEach(() => {
  host[Symbol.dispose]();
  node[Symbol.dispose]();
});

async function setup(...specs: MasqueradeSpec[]): Promise<void> {
  for (const one of specs) await setupMasquerade(host, one, new UndoScope(), silentLogger);
}

async function teardown(owner: Partial<MasqueradeSpec> = {}): Promise<void> {
  const { addresses: _, ...rest } = spec(undefined);
  await teardownMasquerade(host, { ...rest, ...owner }, silentLogger);
}

/** Rules and chains of whichever back end that belong to somebody, as text. */
function present(): string[] {
  const nft = node.run("nft", "-s", "list", "ruleset").split("\n");
  const iptables = node.run("sh", "-c", "iptables-save 2>/dev/null; ip6tables-save 2>/dev/null").split("\n");
  return [
    ...nft.filter((line) => line.includes("masquerade comment")),
    ...iptables.filter((line) => line.includes("CNI-")),
  ]
    .map((line) => line.trim())
    .sort();
}

async function missing(one: MasqueradeSpec): Promise<string> {
  return await checkMasquerade(host, one, silentLogger).then(
    () => "",
    (error: unknown) => String(error),
  );
}

describe.each(backends)("masquerading by %s", (backend) => {
  test("is set up and torn down without a trace, knowing nothing but the names", async () => {
    await setup(spec(backend));
    expect(present()).toHaveLength(backend === "nftables" ? 2 : 8);
    expect(await missing(spec(backend))).toBe("");
    await teardown();
    expect(present()).toEqual([]);
    expect(await missing(spec(backend))).toContain("no rule masquerades 10.1.2.2/24, fd00:1::2/64");
    await teardown();
  });

  test("set up again is the same as once", async () => {
    await setup(spec(backend));
    const once = present();
    await setup(spec(backend), spec(backend));
    expect(present()).toEqual(once);
  });

  test("is taken back when a later step fails", async () => {
    const undo = new UndoScope();
    await setupMasquerade(host, spec(backend), undo, silentLogger);
    expect(present()).not.toEqual([]);
    expect(await undo.unwind()).toEqual([]);
    expect(present()).toEqual([]);
  });

  test("of other containers and networks stays", async () => {
    const others = [spec(backend, { containerId: "ctr2" }), spec(backend, { network: "net2" })];
    await setup(...others);
    const before = present();
    await setup(spec(backend));
    await teardown();
    expect(present()).toEqual(before);
  });

  test("of another interface of the same container and network stays, when addresses are known", async () => {
    const second = spec(backend, { ifName: "eth1", addresses: [prefix("10.1.2.3/24"), prefix("fd00:2::3/64")] });
    await setup(spec(backend), second);
    expect([await missing(spec(backend)), await missing(second)]).toEqual(["", ""]);
    await teardown({ addresses: dual });
    expect([await missing(spec(backend)), await missing(second)]).toEqual([
      expect.stringContaining("no rule masquerades 10.1.2.2/24, fd00:1::2/64"),
      "",
    ]);
    await teardown({ ifName: "eth1", addresses: second.addresses });
    expect(present()).toEqual([]);
  });

  test("of one address family touches that family only", async () => {
    await setup(spec(backend, { addresses: [prefix("fd00:1::2/64")] }));
    expect(present().filter((line) => line.includes("10.1.2"))).toEqual([]);
    expect(await missing(spec(backend))).toContain("no rule masquerades 10.1.2.2/24");
    await teardown();
    expect(present()).toEqual([]);
  });

  test("is collected for containers that are no more, in this network only", async () => {
    const gone = [spec(backend, { containerId: "gone" }), spec(backend, { containerId: "gone", ifName: "eth1" })];
    const kept = [spec(backend), spec(backend, { network: "net2", containerId: "gone" })];
    await setup(...kept);
    const before = present();
    await setup(...gone);
    await gcMasquerade(host, "net1", [{ containerId: "ctr1", ifName: "eth0" }], silentLogger);
    expect(present()).toEqual(before);
    await gcMasquerade(host, "net1", [], silentLogger);
    expect(present().every((line) => line.includes("net2") || line.startsWith(":"))).toBe(true);
  });

  test("by many at once loses nobody's rules", async () => {
    const many = Array.from({ length: 8 }, (_, n) =>
      spec(backend, { containerId: `c${n}`, addresses: [prefix(`10.1.2.${n}/24`)] }),
    );
    await Promise.all(many.map((one) => setup(one)));
    expect(await Promise.all(many.map(missing))).toEqual(many.map(() => ""));
    await Promise.all(many.map(({ containerId }) => teardown({ containerId })));
    expect(present()).toEqual([]);
  });
});

describe("packets", () => {
  const lan = useLan({ nodes: 2 });
  const addresses = [prefix("10.77.0.2/24"), prefix("fd00:77::2/64")];

  /** A pod behind the first node, which forwards; the second node has no route back to it. */
  const pod = useDisposable(() => {
    const [router, far] = [lan().node(0), lan().node(1)];
    const pod = router.pod();
    router.ip(
      `link add veth0 type veth peer name eth0 netns ${pod.name}`,
      "link set veth0 up",
      ...["10.77.0.1/24", "fd00:77::1/64 nodad"].map((one) => `addr add ${one} dev veth0`),
      ...["192.0.2.1/24", "2001:db8::1/64 nodad"].map((one) => `addr add ${one} dev eth0`),
    );
    router.run("sh", "-c", "echo 1 | tee /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding");
    far.ip(...["192.0.2.2/24", "2001:db8::2/64 nodad"].map((one) => `addr add ${one} dev eth0`));
    pod.ip(
      "link set eth0 up",
      ...["10.77.0.2/24", "fd00:77::2/64 nodad"].map((one) => `addr add ${one} dev eth0`),
      "route add default via 10.77.0.1",
      "route add default via fd00:77::1",
    );
    return pod;
  });

  test.each(backends)("of a pod come back once they are masqueraded by %s", async (backend) => {
    using router = Netns.open(lan().node(0).path);
    const own = spec(backend, { addresses });
    expect(pod().reaches("192.0.2.2")).toBe(false);
    await setupMasquerade(router, own, new UndoScope(), silentLogger);
    expect([pod().reaches("192.0.2.2"), pod().reaches("2001:db8::2")]).toEqual([true, true]);
    expect(pod().reaches("10.77.0.1")).toBe(true);
    await teardownMasquerade(router, own, silentLogger);
  });
});

test("tables of family ip and ip6 are used where they are there already, as on a kernel without NAT in family inet", async () => {
  node.run("nft", "add table ip cni_plugins_masquerade");
  await setup(spec("nftables"), spec("nftables"));
  const tables = node.run("nft", "list", "tables").trim().split("\n").sort();
  expect(tables).toEqual(["table ip cni_plugins_masquerade", "table ip6 cni_plugins_masquerade"]);
  expect(present()).toEqual([
    expect.stringMatching(/^ip saddr 10.1.2.2 ip daddr != 10.1.2.0\/24 masquerade comment/),
    expect.stringMatching(/^ip6 saddr fd00:1::2 ip6 daddr != fd00:1::\/64 masquerade comment/),
  ]);
  expect(node.run("nft", "list", "chain", "ip6", "cni_plugins_masquerade", "postrouting")).toContain("ff00::/8 return");
  expect(await missing(spec("nftables"))).toBe("");
  await teardown();
  expect(present()).toEqual([]);
});

/** A namespace on a kernel that refuses the first operation like `pattern`, as one that lacks a part of nf_tables would. */
function lacking(pattern: RegExp): Netns {
  const nft = Nft.open("test");
  const refuse = (transaction: Transaction): Transaction => {
    const text = transaction.operations.find((operation) => pattern.test(operation.text))?.text;
    if (text === undefined) return transaction;
    throw refused(text, new NetlinkError(text, ENOENT));
  };
  const less = {
    tables: () => nft.tables(),
    rules: (of: Table | Chain) => nft.rules(of),
    update: (plan: () => Transaction) => nft.update(() => refuse(plan())),
  };
  return { bound: () => less } as unknown as Netns;
}

const lacks: readonly [string, RegExp][] = [
  ["NAT chains in family inet", /^add chain inet .* type nat /],
  ["masquerade in family inet", /^add rule inet .* masquerade /],
];
test.each(lacks)("without %s, tables of family ip and ip6 are made", (_, pattern) => {
  host.enter(() => addMasqueradeRules(lacking(pattern), spec("nftables"), dual));
  expect(node.run("nft", "list", "tables").trim().split("\n").sort()).toEqual([
    "table ip cni_plugins_masquerade",
    "table ip6 cni_plugins_masquerade",
  ]);
  expect(present()).toHaveLength(2);
});

test("without masquerade in any family the kernel's refusal is told", () => {
  const attempt = () => host.enter(() => addMasqueradeRules(lacking(/ masquerade /), spec("nftables"), dual));
  expect(attempt).toThrow("masquerade comment");
  expect(attempt).toThrow("this kernel lacks one of its expressions in that family");
  expect(node.run("nft", "list", "tables")).toBe("");
});

test("what somebody put into the base chain is put right by the next set-up", async () => {
  await setup(spec("nftables"));
  const chain = ["inet", "cni_plugins_masquerade", "postrouting"];
  const before = node.run("nft", "list", "chain", ...chain);
  node.run("nft", "insert", "rule", ...chain, "accept");
  await setup(spec("nftables", { containerId: "ctr2" }));
  expect(node.run("nft", "list", "chain", ...chain)).toBe(before);
});

test("rules in x_tables are found and removed by the legacy binary", async ({ skip }) => {
  const lines = [
    "*nat",
    "-N CNI-85373d34c6846b6c53ee2e7f",
    '-A POSTROUTING -s 10.1.2.2/32 -m comment --comment "name: \\"net1\\" id: \\"ctr1\\"" -j CNI-85373d34c6846b6c53ee2e7f',
    '-A CNI-85373d34c6846b6c53ee2e7f ! -d 224.0.0.0/4 -m comment --comment "name: \\"net1\\" id: \\"ctr1\\"" -j MASQUERADE',
    "-A POSTROUTING -s 10.9.9.9/32 -j ACCEPT",
    "COMMIT",
    "",
  ];
  const load = () =>
    runCommand(["iptables-legacy-restore", "--noflush"], { netns: node.path, stdin: lines.join("\n") });
  const listed = () =>
    node
      .run("iptables-legacy", "-t", "nat", "-S")
      .split("\n")
      .filter((line) => line.includes("CNI-"));
  try {
    node.run("iptables-legacy", "-t", "nat", "-S");
  } catch {
    skip("this kernel, or this host, has no x_tables");
  }
  load();
  expect(await missing(spec(undefined, { addresses: [prefix("10.1.2.2/24")] }))).toBe("");
  await gcMasquerade(host, "net1", [{ containerId: "ctr1", ifName: "eth0" }], silentLogger);
  expect(listed()).toHaveLength(3);
  await gcMasquerade(host, "net1", [], silentLogger);
  expect(listed()).toEqual([]);
  load();
  await teardown();
  expect(listed()).toEqual([]);
  expect(node.run("iptables-legacy", "-t", "nat", "-S")).toContain("10.9.9.9");
});

describe("the iptables binary", () => {
  const folder = useTemporaryFolder();
  const path = process.env["PATH"];
  let count = 0;
  afterEach(() => {
    process.env["PATH"] = path;
  });

  /** Puts scripts in front of the real binaries; each call is written down. */
  function shim(script: string, ...names: string[]): () => string[] {
    const own = `bin${count++}`;
    const log = folder().write("calls", "");
    for (const name of names) {
      const lines = [
        "#!/bin/sh",
        `{ echo "$(basename $0) $*"; env | grep -v ^_= | sort; cat; echo; } >> ${log}`,
        script,
        "",
      ];
      chmodSync(folder().write(`${own}/${name}`, lines.join("\n")), 0o755);
    }
    process.env["PATH"] = `${folder().path}/${own}:${path ?? ""}`;
    return () => runCommand(["cat", log]).trim().split("\n");
  }

  test("is called once for each address family, with an environment of its own", async () => {
    process.env["LD_PRELOAD"] = "";
    const calls = shim("exit 0", "iptables-restore", "ip6tables-restore");
    await setup(spec("iptables", { addresses: [prefix("10.1.2.2/24")] }));
    expect(calls()).toEqual([
      "iptables-restore --noflush --wait 15",
      "LC_ALL=C",
      expect.stringMatching(/^PATH=/),
      expect.stringMatching(/^PWD=/),
      "*nat",
      "-N CNI-85373d34c6846b6c53ee2e7f",
      String.raw`-A CNI-85373d34c6846b6c53ee2e7f -d 10.1.2.0/24 -m comment --comment "name: \"net1\" id: \"ctr1\"" -j ACCEPT`,
      String.raw`-A CNI-85373d34c6846b6c53ee2e7f ! -d 224.0.0.0/4 -m comment --comment "name: \"net1\" id: \"ctr1\"" -j MASQUERADE`,
      String.raw`-A POSTROUTING -s 10.1.2.2/32 -m comment --comment "name: \"net1\" id: \"ctr1\"" -j CNI-85373d34c6846b6c53ee2e7f`,
      "COMMIT",
    ]);
    delete process.env["LD_PRELOAD"];
  });

  test("that can't get the lock means: try again later", async () => {
    const words = "Another app is currently holding the xtables lock. Stopped waiting after 15s.";
    shim(`echo "${words}" >&2; exit 4`, "iptables-restore", "ip6tables-restore");
    await expect(setup(spec(undefined))).rejects.toMatchObject({ code: 11, message: expect.stringContaining(words) });
  });

  const broken = ["iptables-restore", "ip6tables-restore", "iptables", "ip6tables"];
  test("that can't do it leaves the choice to nftables, unless the config names iptables", async () => {
    shim('echo "can\'t initialize iptables table nat" >&2; exit 3', ...broken);
    await expect(setup(spec("iptables"))).rejects.toMatchObject({
      code: 999,
      message: expect.stringMatching(/^failed to set up ipMasq of network net1: .*can't initialize iptables table nat/),
    });
    expect(present()).toEqual([]);
    await setup(spec(undefined));
    expect(present()).toHaveLength(2);
    await teardown();
    expect(present()).toEqual([]);
  });

  test("that refuses a rule is quoted", async () => {
    shim('echo "line 4: no such target" >&2; exit 1', "iptables-restore");
    await expect(setup(spec("iptables", { addresses: [prefix("10.1.2.2/24")] }))).rejects.toMatchObject({
      code: 999,
      message: expect.stringContaining("iptables-restore ended with exit status 1: line 4: no such target"),
    });
  });
});
