// The test kit itself: a proof is worth what its instruments are worth.
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { callCni, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { runCommand } from "../kit/command.ts";
import { diff, leftovers } from "../kit/diff.ts";
import { callWithFault, countSystemCalls, killAtEverySystemCall } from "../kit/fault.ts";
import { useLan, useTemporaryFolder } from "../kit/hooks.ts";
import { Lan, NodeNetns } from "../kit/node-netns.ts";
import { normalise } from "../kit/normalise.ts";
import { removeTree } from "../kit/remove-tree.ts";
import { snapshot } from "../kit/snapshot.ts";
import { temporaryFolder } from "../kit/tmp.ts";

const folder = useTemporaryFolder();

/** An executable of the given shell lines that stands for a plugin. */
function script(name: string, ...lines: string[]): string {
  const path = folder().write(name, ["#!/bin/sh", ...lines, ""].join("\n"));
  chmodSync(path, 0o755);
  return path;
}

describe("a node", () => {
  test("has loopback up, makes pods with loopback down, and goes with them", () => {
    const node = new NodeNetns();
    const pod = node.pod();
    try {
      expect(node.run("cat", "/sys/class/net/lo/operstate", "/proc/sys/net/ipv4/ip_forward")).toMatch(/\n0\n$/);
      expect(snapshot(node.path).links["lo"]?.["flags"]).toContain("UP");
      expect(snapshot(pod.path).links["lo"]?.["flags"]).not.toContain("UP");
    } finally {
      node[Symbol.dispose]();
    }
    expect([existsSync(node.path), existsSync(pod.path)]).toEqual([false, false]);
  });

  test("is removed when the test that uses it throws", () => {
    let path = "";
    expect(() => {
      using node = new NodeNetns();
      path = node.path;
      throw new Error("on purpose");
    }).toThrow("on purpose");
    expect(existsSync(path)).toBe(false);
  });

  test("left by a process that is no more is swept by the next run", async () => {
    const dead = Bun.spawnSync(["true"]).pid;
    runCommand(["ip", "netns", "add", `polynic-${dead}-0-0-node`]);
    const module = join(import.meta.dirname, "..", "kit", "node-netns.ts");
    const next = `const { NodeNetns } = await import(${JSON.stringify(module)}); new NodeNetns()[Symbol.dispose]();`;
    runCommand([process.execPath, "-e", next]);
    expect(runCommand(["ip", "netns", "list"])).not.toContain(`polynic-${dead}-`);
  });
});

describe("a LAN", () => {
  const lan = useLan({ nodes: 2 });

  test("carries a macvlan of one node to the other node", () => {
    const [a, b] = [lan().node(0), lan().node(1)];
    using pod = a.pod();
    a.ip(`link add link eth0 name net1 netns ${pod.name} type macvlan mode bridge`);
    pod.ip("addr add 192.0.2.1/24 dev net1", "link set net1 up");
    b.ip("addr add 192.0.2.2/24 dev eth0");
    expect([b.reaches("192.0.2.1"), pod.reaches("192.0.2.2"), b.reaches("192.0.2.3")]).toEqual([true, true, false]);
  });

  test("says how many nodes it has when asked for one too many", () => {
    expect(() => lan().node(2)).toThrow("the LAN has 2 nodes, no node 2");
  });
});

describe("the CNI caller", () => {
  test("sends the config and a made environment, and reads result and error back", async () => {
    using node = new NodeNetns();
    const echo = script(
      "echo-call",
      'printf \'{"input":%s,"ifname":"%s","home":"%s","links":%s}\' "$(cat)" "$CNI_IFNAME" "$HOME" $(ip -j link show | wc -l)',
      "echo warned >&2",
    );
    const outcome = await mustCallCni({
      executable: echo,
      command: "ADD",
      ifName: "net1",
      config: { name: "x" },
      node,
    });
    expect(outcome.result).toEqual({ input: { name: "x" }, ifname: "net1", home: "", links: 1 });
    expect(outcome.stderr).toBe("warned\n");
  });

  test("reports a failing plugin as an outcome", async () => {
    const failing = script("failing", "echo '{\"code\":7}'; exit 1");
    expect(await callCni({ executable: failing, command: "ADD" })).toMatchObject({ exitCode: 1, result: { code: 7 } });
    await expect(mustCallCni({ executable: failing, command: "ADD" })).rejects.toThrow('ended with code 1: {"code":7}');
  });

  test("kills the whole process group at the deadline", async () => {
    const hanging = script("hanging", "sleep 1000 & echo $!; wait");
    // Long enough for the script to have said who its child is.
    const outcome = await callCni({ executable: hanging, command: "ADD", deadlineMs: 3000 });
    expect(outcome).toMatchObject({ isTimedOut: true, signal: "SIGKILL" });
    const stat = `/proc/${outcome.stdout.trim()}/stat`;
    // Killed is not gone yet; and a zombie is as good as gone: whoever is its parent now has yet to collect it.
    const state = () => (existsSync(stat) ? runCommand(["cat", stat]) : "gone");
    await expect.poll(state, { timeout: 60_000 }).toMatch(/^gone$|\) [ZX] /);
  });

  test("runs our executable", async () => {
    expect(await callCni({ executable: join(polynicBin, "polynic"), command: "" })).toMatchObject({
      signal: undefined,
    });
  });
});

describe("a snapshot", () => {
  test("shows every kind of object, and equals itself", () => {
    using node = new NodeNetns();
    const before = snapshot(node.path);
    node.ip(
      "link add br0 type bridge forward_delay 0",
      "link add v0 type veth peer name v1",
      "link set v0 master br0 up",
      "link set v1 alias made-by-test up",
      "link add m1 link v1 type macvlan mode private",
      "addr add 192.0.2.1/24 dev v1",
      "addr add 2001:db8::1/64 dev v1 nodad",
      "route add 198.51.100.0/24 via 192.0.2.2 table 100 mtu 1300",
      "rule add from 192.0.2.1 table 100",
      "neigh add 192.0.2.3 lladdr 02:00:00:00:00:03 dev v1 nud permanent",
    );
    node.run(
      "nft",
      "add table ip t; add chain ip t c { type filter hook input priority 0; }; add rule ip t c counter accept",
    );
    node.run("iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "192.0.2.0/24", "-j", "MASQUERADE");
    node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/v1/arp_notify");
    node.run("tc", "qdisc", "add", "dev", "v1", "clsact");
    const after = snapshot(node.path);
    expect(after).toMatchObject({
      links: {
        v0: { master: "br0", link: "v1", linkinfo: { kind: "veth", port: { hairpin: false, isolated: false } } },
        v1: { ifalias: "made-by-test", mtu: 1500 },
        m1: { link: "v1", linkinfo: { kind: "macvlan", data: { mode: "private" } } },
      },
      addresses: { "v1 192.0.2.1/24": { scope: "global" }, "v1 2001:db8::1/64": { nodad: true } },
      routes: { "ipv4 100 unicast 198.51.100.0/24 dev v1": { gateway: "192.0.2.2", metrics: [{ mtu: 1300 }] } },
      rules: { "4 32765 192.0.2.1 100": {} },
      neighbours: { "v1 192.0.2.3": { lladdr: "02:00:00:00:00:03" } },
      sysctls: { v1: { "ipv4.arp_notify": "1" }, "": { "ipv4.ip_forward": "0" } },
      nft: { "table ip t / chain c": ["type filter hook input priority 0; policy accept;", "counter accept"] },
      qdiscs: { "v1 ffff:fff1": { kind: "clsact" } },
      iptables: { "ipv4 nat": expect.arrayContaining(["-A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE"]) },
    });
    expect(diff(after, snapshot(node.path))).toEqual([]);
    expect(leftovers(before, after)).toContain(
      'routes / ipv4 100 unicast 198.51.100.0/24 dev v1: before has nothing, after has {"family":"4","type":"unicast","dst":"198.51.100.0/24","gateway":"192.0.2.2","dev":"v1","table":"100","protocol":"boot","scope":"global","metrics":[{"mtu":1300}]}',
    );
  });

  test("of the same steps on two nodes is equal once normalised, and a difference is named", () => {
    using lan = new Lan({ nodes: 2 });
    const states = lan.nodes.map((node, index) => {
      node.ip(
        "link add br0 type bridge",
        `link add veth${index}2345678 type veth peer name v1`,
        `link set veth${index}2345678 master br0 alias by-test-${index} up`,
      );
      return normalise(snapshot(node.path));
    });
    expect(diff(states[0], states[1], ["first", "second"])).toEqual([
      'links / veth#1 / ifalias: first has "by-test-0", second has "by-test-1"',
    ]);
  });
});

describe("normalise", () => {
  test.each([
    [
      "names of ours",
      "at /run/netns/a1 and /run/netns/a",
      { names: { "/run/netns/a": "POD", "/run/netns/a1": "POD1" } },
      "at POD1 and POD",
    ],
    ["random names in order", "vethabcdef01 veth00000001 vethabcdef01", {}, "veth#1 veth#2 veth#1"],
    ["random addresses in order", "0a:58:0a:01:02:03 0a:58:0a:01:02:04 0a:58:0a:01:02:03", {}, "mac#1 mac#2 mac#1"],
    ["chosen addresses", "02:00:00:00:00:01", { macs: ["02:00:00:00:00:01"] }, "02:00:00:00:00:01"],
    [
      "constant addresses",
      "ff:ff:ff:ff:ff:ff 00:00:00:00:00:00 01:80:c2:00:00:00",
      {},
      "ff:ff:ff:ff:ff:ff 00:00:00:00:00:00 01:80:c2:00:00:00",
    ],
    ["link-local addresses", "0a:58:0a:01:02:03 fe80::858:aff:fe01:203", {}, "mac#1 eui64(mac#1)"],
    ["IPv6 addresses", "10:20:30:40:50:60:70:80", {}, "10:20:30:40:50:60:70:80"],
  ])("handles %s", (_, text, options, want) => {
    expect(normalise(text, options)).toBe(want);
  });
});

describe("diff", () => {
  test.each([
    ["nothing for equal values", { a: [1, { b: null }] }, { a: [1, { b: null }] }, []],
    ["a value that differs", { a: { b: 1 } }, { a: { b: 2 } }, ["a / b: a has 1, b has 2"]],
    ["a missing property", { a: 1 }, {}, ["a: a has 1, b has nothing"]],
    [
      "lines of one side",
      { r: ["x", "x"] },
      { r: ["y", "x"] },
      ['r: a has "x", b has nothing', 'r: a has nothing, b has "y"'],
    ],
    ["another order", { r: ["x", "y"] }, { r: ["y", "x"] }, ["r: the same lines in another order"]],
  ])("tells %s", (_, a, b, want) => {
    expect(diff(a, b)).toEqual(want);
  });

  test("leftovers leave out what has gone", () => {
    expect(leftovers({ links: { a: 1, c: 1 } }, { links: { b: 1, c: 2 } })).toEqual([
      "links / c: before has 1, after has 2",
      "links / b: before has nothing, after has 1",
    ]);
  });
});

describe("fault injection", () => {
  const writeThree = () => script("write-three", `exec ${process.execPath} ${writer()}`);

  /** Renames three files into place, as a journal would, through the same FFI as the product. */
  function writer(): string {
    const file = join(import.meta.dirname, "..", "..", "src", "libc", "file.ts");
    const target = JSON.stringify(join(folder().path, "state-"));
    return folder().write(
      "writer.ts",
      `import { replaceFile } from ${JSON.stringify(file)};\nfor (const name of [1, 2, 3]) replaceFile(${target} + name, "x");\n`,
    );
  }

  const states = () => [1, 2, 3].filter((name) => existsSync(join(folder().path, `state-${name}`)));

  test("counts the system calls of an undisturbed run", async () => {
    const counts = await countSystemCalls({ executable: writeThree(), command: "ADD" }, ["renameat", "fdatasync"]);
    expect([...counts.values()]).toEqual([3, 3]);
  });

  test("kills before the call is carried out, at each in turn", async () => {
    const seen: string[] = [];
    const killed = await killAtEverySystemCall(
      () => {
        for (const name of states()) runCommand(["rm", join(folder().path, `state-${name}`)]);
        return { executable: writeThree(), command: "ADD" };
      },
      ({ systemCall, occurrence }, { trace }) => {
        expect(trace.at(-1)).toContain(systemCall);
        seen.push(`${systemCall} ${occurrence}: ${states().length} done`);
      },
      ["fdatasync", "renameat"],
    );
    expect(killed).toBe(6);
    expect(seen.map((line) => line.replace(/^\w+ /, ""))).toEqual([1, 2, 3, 1, 2, 3].map((n) => `${n}: ${n - 1} done`));
  });

  test("is an error where hardly any run could be killed", async () => {
    let runs = 0;
    const idle = script("idle", "exit 0");
    const once = () => ({ executable: runs++ === 0 ? writeThree() : idle, command: "ADD" });
    await expect(killAtEverySystemCall(once, () => {}, ["fdatasync"])).rejects.toThrow(
      "only 0 runs were killed, of 3 that were to be",
    );
  });

  test("makes a call fail with an errno of our choice", async () => {
    const fault = { systemCall: "fdatasync", occurrence: 2, errno: "ENOSPC" };
    const outcome = await callWithFault({ executable: writeThree(), command: "ADD" }, fault);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain("ENOSPC");
  });
});

test("a temporary folder goes with what is in it", () => {
  const temporary = temporaryFolder();
  const file = temporary.write("deep/down/config.json", { a: 1 });
  expect(runCommand(["cat", file])).toBe('{"a":1}');
  temporary[Symbol.dispose]();
  expect(existsSync(temporary.path)).toBe(false);
});

test("a folder that another one is mounted in is not removed, until that is unmounted", () => {
  using outer = temporaryFolder();
  using other = temporaryFolder();
  const file = other.write("theirs", "kept");
  outer.write("a b/c", "");
  const mountpoint = join(outer.path, "a b");
  runCommand(["mount", "--bind", other.path, mountpoint]);
  try {
    expect(() => removeTree(outer.path)).toThrow(`${mountpoint} is mounted there; unmount it first`);
    expect(existsSync(file)).toBe(true);
  } finally {
    runCommand(["umount", mountpoint]);
  }
  removeTree(outer.path);
  expect([existsSync(outer.path), existsSync(file)]).toEqual([false, true]);
});

test.each(["/etc", "/usr"])("nothing can be written to %s of this machine", (path) => {
  const file = join(path, `polynic-${process.pid}`);
  expect(() => writeFileSync(file, "")).toThrow(/EROFS|EACCES/);
});
