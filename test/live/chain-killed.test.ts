// A whole chain in one process, killed at each system call by which it changes the world: a DEL afterwards leaves nothing, neither in the
// namespaces nor on file, whether it has the namespace or not.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type CniCall, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { diff } from "../kit/diff.ts";
import { callWithFault, changingCalls, countSystemCalls, killAtEverySystemCall } from "../kit/fault.ts";
import { Lan, type PinnedNetns } from "../kit/node-netns.ts";
import { type Snapshot, snapshot } from "../kit/snapshot.ts";
import { type TemporaryFolder, temporaryFolder } from "../kit/tmp.ts";

const sweepTimeoutMs = 600_000;
const results = "/var/lib/cni/results";

/** Of each test its own, since cached results are all in one folder. */
let network: string;
let lan: Lan;
let pod: PinnedNetns;
let folder: TemporaryFolder;
let beforePod: Snapshot;
let beforeNode: Snapshot;

beforeEach(async () => {
  network = `killed-${crypto.randomUUID()}`;
  lan = new Lan();
  folder = temporaryFolder();
  const ipam = {
    type: "host-local",
    dataDir: join(folder.path, "leases"),
    ranges: [[{ subnet: "192.0.2.0/24" }], [{ subnet: "2001:db8::/64" }]],
    routes: [{ dst: "0.0.0.0/0" }],
  };
  const sysctl = { "net.ipv4.conf.IFNAME.arp_filter": "1", "net.ipv4.conf.all.arp_announce": "2" };
  folder.write("net.d/10-lan.conflist", {
    cniVersion: "1.1.0",
    name: network,
    plugins: [
      { type: "macvlan", master: "eth0", ipam },
      {
        type: "tuning",
        dataDir: join(folder.path, "tuning"),
        mac: "02:00:00:00:00:0a",
        mtu: 1400,
        promisc: true,
        sysctl,
      },
      { type: "sbr" },
    ],
  });
  freshPod();
  // Makes the folders that stay.
  await mustCallCni(call("add"));
  await mustCallCni(call("del"));
});
afterEach(() => {
  lan[Symbol.dispose]();
  folder[Symbol.dispose]();
});

function freshPod(): void {
  pod = lan.node().pod();
  // A default network, whose routes have to stay.
  pod.ip("link set lo up", "link add eth0 type veth peer name gone", "link set eth0 up", "link set gone up");
  pod.ip("addr add 10.244.1.2/24 dev eth0", "route add default via 10.244.1.1");
  beforePod = snapshot(pod.path);
  beforeNode = snapshot(lan.node().path);
}

function call(verb: string, netns = pod.path): CniCall {
  const env = { NETCONFPATH: join(folder.path, "net.d"), CNI_COMMAND: undefined };
  const executable = join(polynicBin, "polynic");
  return { executable, argv: [verb, network, netns], ifName: "net1", node: lan.node(), env };
}

const filesIn = (path: string) => (existsSync(path) ? readdirSync(path, { recursive: true, encoding: "utf8" }) : []);

/** Leases, backups and cached results. */
const files = () => [
  ...filesIn(join(folder.path, "leases")).filter((name) => /(^|[/@])(192\.0\.2|2001:db8)[^/]*$/.test(name)),
  ...filesIn(join(folder.path, "tuning")),
  ...filesIn(results).filter((name) => name.startsWith(network)),
];

function expectNothing(place: string): void {
  expect(files(), place).toEqual([]);
  expect(diff(beforeNode, snapshot(lan.node().path)), place).toEqual([]);
  if (pod.exists()) expect(diff(beforePod, snapshot(pod.path)), place).toEqual([]);
}

describe("killed anywhere", () => {
  test.each<[string, () => CniCall | Promise<CniCall>]>([
    ["ADD", () => call("add")],
    ["DEL", async () => (await mustCallCni(call("add")), call("del"))],
  ])(
    "in %s, a DEL leaves nothing, and the next pod is served",
    async (_, start) => {
      const killed = await killAtEverySystemCall(
        async (isSomethingLeft) => {
          if (isSomethingLeft) await mustCallCni(call("del"));
          return start();
        },
        async ({ systemCall, occurrence }) => {
          await mustCallCni(call("del"));
          expectNothing(`${systemCall} ${occurrence}`);
        },
      );
      expect(killed).toBeGreaterThan(10);
      // What the last run, which came to its end, has left.
      await mustCallCni(call("del"));
      await mustCallCni(call("add"));
      await mustCallCni(call("check"));
      await mustCallCni(call("del"));
      expectNothing("the next pod");
    },
    sweepTimeoutMs,
  );

  test(
    "in ADD, and the links are gone when DEL comes: rules and settings of the namespace go all the same",
    async () => {
      await killAtEverySystemCall(
        async (isSomethingLeft) => {
          if (isSomethingLeft) await mustCallCni(call("del"));
          return call("add");
        },
        async ({ systemCall, occurrence }) => {
          pod.run("sh", "-c", "ip link del net1 2>/dev/null || true");
          await mustCallCni(call("del"));
          expectNothing(`${systemCall} ${occurrence}`);
        },
      );
    },
    sweepTimeoutMs,
  );

  test(
    "in ADD, and the namespace was removed by hand: GC leaves nothing",
    async () => {
      await killAtEverySystemCall(
        async (isSomethingLeft) => {
          if (isSomethingLeft) await mustCallCni(call("del"));
          freshPod();
          return call("add");
        },
        async ({ systemCall, occurrence }) => {
          pod[Symbol.dispose]();
          await mustCallCni(call("gc", ""));
          // What a kill in the middle of writing has left goes when it is old.
          expect(
            files().filter((name) => !name.endsWith(".tmp")),
            `${systemCall} ${occurrence}`,
          ).toEqual([]);
        },
      );
    },
    sweepTimeoutMs,
  );
});

test(
  "an ADD that meets a failing system call anywhere takes itself back, or does without it",
  async () => {
    const counts = await countSystemCalls(call("add"), changingCalls);
    await mustCallCni(call("del"));
    let failed = 0;
    for (const [systemCall, count] of counts) {
      for (let occurrence = 1; occurrence <= count; occurrence += 1) {
        const outcome = await callWithFault(call("add"), { systemCall, occurrence, errno: "EIO" });
        const place = `${systemCall} ${occurrence} of ${count}: ${outcome.stdout}${outcome.stderr}`;
        expect(outcome.signal, place).toBeUndefined();
        // A result that can't be printed is no failure of the attachment: it is remembered.
        const isMade = outcome.exitCode === 0 || outcome.stderr.includes("write stdout: input/output error");
        if (isMade) await mustCallCni(call("del"));
        else failed += 1;
        expectNothing(place);
      }
    }
    expect(failed).toBeGreaterThan(10);
  },
  sweepTimeoutMs,
);
