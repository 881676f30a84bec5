// The bridge plugin as a process that is ended anywhere, whose system calls fail, and that runs beside many of its kind.
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CniCall, callCni, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { leftovers } from "../kit/diff.ts";
import { callWithFault, changingCalls, countSystemCalls, killAtEverySystemCall } from "../kit/fault.ts";
import { NodeNetns, type PinnedNetns } from "../kit/node-netns.ts";
import { snapshot } from "../kit/snapshot.ts";
import { type TemporaryFolder, temporaryFolder } from "../kit/tmp.ts";

const sweepTimeoutMs = 600_000;

let node: NodeNetns;
let pod: PinnedNetns;
let folder: TemporaryFolder;

beforeEach(() => {
  node = new NodeNetns();
  pod = node.pod();
  folder = temporaryFolder();
});
afterEach(() => {
  node[Symbol.dispose]();
  folder[Symbol.dispose]();
});

function config(own: object = {}): object {
  return {
    cniVersion: "1.1.0",
    name: "pods",
    type: "bridge",
    isDefaultGateway: true,
    ipMasq: true,
    ipMasqBackend: "nftables",
    macspoofchk: true,
    ipam: {
      type: "host-local",
      dataDir: folder.path,
      ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: "fd00:1::/64" }]],
    },
    ...own,
  };
}

function call(command: string, more: Partial<CniCall> = {}): CniCall {
  const executable = join(polynicBin, "bridge");
  return { executable, command, config: config(), containerId: "ctr0", netns: pod.path, ifName: "net1", node, ...more };
}

/** Leases, and kernel objects of node and pod. */
function state(): unknown {
  const leases = node.run("sh", "-c", `cd ${folder.path} && find . -name '10.*' -o -name 'fd00*'`);
  return { leases, node: snapshot(node.path), ...(pod.exists() ? { pod: snapshot(pod.path) } : {}) };
}

/** What all pods share, made by a first one. */
async function stateOfUsedNode(): Promise<unknown> {
  await mustCallCni(call("ADD"));
  await mustCallCni(call("DEL"));
  return state();
}

test(
  "kill -9 at any step of ADD: DEL leaves nothing, and the next ADD is served",
  async () => {
    const before = await stateOfUsedNode();
    const killed = await killAtEverySystemCall(
      async (isSomethingLeft) => {
        if (isSomethingLeft) await mustCallCni(call("DEL"));
        return call("ADD");
      },
      async ({ systemCall, occurrence }) => {
        await mustCallCni(call("DEL"));
        expect(leftovers(before, state()), `${systemCall} ${occurrence}`).toEqual([]);
        const { result } = await mustCallCni(call("ADD"));
        await mustCallCni(call("CHECK", { config: { ...config(), prevResult: result } }));
        await mustCallCni(call("DEL"));
      },
    );
    expect(killed).toBeGreaterThan(15);
  },
  sweepTimeoutMs,
);

test(
  "kill -9 at any step of ADD, and the pod's namespace goes: DEL without it leaves nothing",
  async () => {
    const before = await stateOfUsedNode();
    const killed = await killAtEverySystemCall(
      async (isSomethingLeft) => {
        if (isSomethingLeft) await mustCallCni(call("DEL"));
        pod[Symbol.dispose]();
        pod = node.pod();
        return call("ADD");
      },
      async ({ systemCall, occurrence }) => {
        await mustCallCni(call("DEL", { netns: "" }));
        await mustCallCni(call("DEL"));
        expect(leftovers(before, state()), `${systemCall} ${occurrence}`).toEqual([]);
      },
    );
    expect(killed).toBeGreaterThan(15);
  },
  sweepTimeoutMs,
);

test(
  "kill -9 at any step of the first ADD on a node: the next one completes the bridge",
  async () => {
    const killed = await killAtEverySystemCall(
      async (isSomethingLeft) => {
        if (isSomethingLeft) await mustCallCni(call("DEL"));
        node.run("sh", "-c", "ip link del cni0 2>/dev/null; nft flush ruleset");
        node.run("rm", "-rf", join(folder.path, "pods"));
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0");
        return call("ADD");
      },
      async ({ systemCall, occurrence }) => {
        await mustCallCni(call("DEL"));
        const { result } = await mustCallCni(call("ADD"));
        const outcome = await callCni(call("CHECK", { config: { ...config(), prevResult: result } }));
        expect(outcome.stdout, `${systemCall} ${occurrence}`).toBe("");
        await mustCallCni(call("DEL"));
      },
    );
    expect(killed).toBeGreaterThan(15);
  },
  sweepTimeoutMs,
);

test(
  "kill -9 at any step of DEL: the next DEL leaves nothing",
  async () => {
    const before = await stateOfUsedNode();
    const killed = await killAtEverySystemCall(
      async () => {
        await mustCallCni(call("ADD"));
        return call("DEL");
      },
      async ({ systemCall, occurrence }) => {
        await mustCallCni(call("DEL"));
        expect(leftovers(before, state()), `${systemCall} ${occurrence}`).toEqual([]);
      },
    );
    expect(killed).toBeGreaterThan(5);
  },
  sweepTimeoutMs,
);

test(
  "whichever system call of ADD fails, ADD either does without it or says so and leaves nothing",
  async () => {
    const before = await stateOfUsedNode();
    const counts = await countSystemCalls(call("ADD"), [...changingCalls, "setns", "flock"]);
    await mustCallCni(call("DEL"));
    for (const [systemCall, count] of counts) {
      for (let occurrence = 1; occurrence <= count; occurrence++) {
        const outcome = await callWithFault(call("ADD"), { systemCall, occurrence, errno: "EIO" });
        const place = `${systemCall} ${occurrence}: ${outcome.stdout}${outcome.stderr}`;
        expect(outcome.signal, place).toBeUndefined();
        if (outcome.exitCode === 0) await mustCallCni(call("DEL"));
        else expect(outcome.stdout + outcome.stderr, place).not.toBe("");
        expect(leftovers(before, state()), place).toEqual([]);
      }
    }
  },
  sweepTimeoutMs,
);

test(
  "many ADDs at once make one bridge with one gateway, and all DELs leave nothing but that",
  async () => {
    const pods = Array.from({ length: 60 }, () => node.pod());
    const plain = config({ ipMasq: false, macspoofchk: false });
    const calls = (command: string) =>
      Promise.all(
        pods.map(({ path }, index) =>
          mustCallCni(
            call(command, { config: plain, netns: path, containerId: `ctr${index}`, deadlineMs: sweepTimeoutMs }),
          ),
        ),
      );
    const results = await calls("ADD");
    const addresses = results.map(({ result }) => (result as { ips: { address: string }[] }).ips[0]?.address);
    expect(new Set(addresses).size).toBe(pods.length);
    const bridges = results.map(({ result }) => JSON.stringify((result as { interfaces: unknown[] }).interfaces[0]));
    expect(new Set(bridges).size).toBe(1);
    const { links, addresses: all } = snapshot(node.path);
    expect(Object.values(links).filter((each) => each["master"] === "cni0")).toHaveLength(pods.length);
    expect(Object.keys(all).filter((name) => /^cni0 (?:10|fd00)/.test(name))).toEqual([
      "cni0 10.1.2.1/24",
      "cni0 fd00:1::1/64",
    ]);
    await calls("DEL");
    expect(Object.keys(snapshot(node.path).links)).toEqual(["lo", "cni0"]);
  },
  sweepTimeoutMs,
);

test(
  "of two networks that want one bridge for different IPv4 gateways at once, one wins and the other says so",
  async () => {
    for (let round = 0; round < 10; round++) {
      node.run("sh", "-c", "ip link del cni0 2>/dev/null || true");
      const pods = Array.from({ length: 6 }, () => node.pod());
      const outcomes = await Promise.all(
        pods.map(({ path }, index) => {
          const subnet = index % 2 === 0 ? "10.1.2.0/24" : "10.9.9.0/24";
          const ipam = { type: "host-local", dataDir: folder.path, subnet };
          const own = config({ name: `net${index % 2}`, ipMasq: false, macspoofchk: false, ipam });
          return callCni(call("ADD", { config: own, netns: path, containerId: `ctr${round}-${index}` }));
        }),
      );
      const { addresses } = snapshot(node.path);
      const gateways = Object.keys(addresses).filter((name) => name.startsWith("cni0 10."));
      expect(gateways).toHaveLength(1);
      const winner = gateways[0] === "cni0 10.1.2.1/24" ? 0 : 1;
      expect(outcomes.map(({ exitCode }) => exitCode)).toEqual(pods.map((_, index) => (index % 2 === winner ? 0 : 1)));
      for (const each of pods) each[Symbol.dispose]();
    }
  },
  sweepTimeoutMs,
);
