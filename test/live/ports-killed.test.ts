// A pod with a chain of all there is, [macvlan, sbr, tuning, portmap], killed at each system call that changes the world: a DEL afterwards leaves
// nothing in the namespaces, in the rule sets and on file, and a GC when the namespace is gone. By hand as cnitool does it, and by the dispatcher.
import { existsSync, readdirSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type CniCall, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { diff } from "../kit/diff.ts";
import { changingCalls, type Fault, killAtEverySystemCall } from "../kit/fault.ts";
import { type Json, MultusSite, type SitePod } from "../kit/multus-site.ts";
import { restoresEnded } from "../kit/restores.ts";
import { type Snapshot, snapshot } from "../kit/snapshot.ts";

const sweepTimeoutMs = 600_000;
const results = "/var/lib/cni/results";
const chosenMac = "02:00:00:00:00:0a";
/** How often the runtime wakes its threads by write(2) while a child runs is chance. */
const steadyCalls = changingCalls.filter((name) => name !== "write");
const portMappings = ["tcp", "udp"].flatMap((protocol) => [
  { hostPort: 8080, containerPort: 80, protocol },
  { hostPort: 8081, containerPort: 81, protocol },
]);

/** Where one test happens; of each its own network, since results that cnitool caches are all in one folder. */
let site: MultusSite;
let network: string;
let pod: SitePod;
let before: Readonly<Record<"node" | "pod", Snapshot>>;

/** Who walks the chain. */
interface Driver {
  readonly add: () => CniCall;
  /** Without what the runtime knew: neither mappings nor result. */
  readonly del: () => CniCall;
  /** No attachment is valid any more. */
  readonly gc: () => CniCall;
}

const byHand: Driver = {
  add: () => verb("add", pod.netns.path, { CAP_ARGS: JSON.stringify({ portMappings }) }),
  del: () => verb("del", pod.netns.path),
  gc: () => verb("gc", ""),
};

const byDispatcher: Driver = {
  add: () => site.cniCall("ADD", pod),
  del: () => site.cniCall("DEL", pod),
  gc: () => site.cniCall("GC", pod, { conf: { "cni.dev/valid-attachments": [] } }),
};

function verb(name: string, netns: string, more: Readonly<Record<string, string>> = {}): CniCall {
  const env = { NETCONFPATH: site.path("net.d"), ...more };
  return { executable: `${polynicBin}/polynic`, argv: [name, network, netns], ifName: "net1", node: site.node, env };
}

/** The kernel takes a removed namespace apart some time behind, and until then its MAC addresses are in use: `mac` is for pods that stay. */
function defineNetwork(backend: string, mac: Json = { mac: chosenMac }): void {
  const routes = [{ dst: "0.0.0.0/0" }, { dst: "::/0" }];
  const ranges = [[{ subnet: "192.0.2.0/24" }], [{ subnet: "2001:db8::/64" }]];
  const sysctl = { "net.ipv4.conf.IFNAME.arp_filter": "1", "net.ipv4.conf.all.arp_announce": "2" };
  const chain = {
    cniVersion: "1.1.0",
    name: network,
    plugins: [
      site.macvlan(network, "192.0.2.0/24", { ipam: { ranges, routes } }),
      { type: "sbr" },
      { type: "tuning", dataDir: site.path("tuning"), ...mac, mtu: 1400, promisc: true, sysctl },
      { type: "portmap", backend, capabilities: { portMappings: true } },
    ],
  };
  site.folder.write("net.d/10-ports.conflist", chain);
  site.network(network, chain);
}

function freshPod(node?: Snapshot): void {
  pod = site.pod([{ name: network, portMappings }]);
  // Neither is anybody's that acts here: its routes and addresses have to stay.
  pod.netns.ip("link set lo up", "link add own type veth peer name gone", "link set own up", "link set gone up");
  pod.netns.ip("addr add 10.244.1.2/24 dev own");
  before = { node: node ?? snapshot(site.node.path), pod: snapshot(pod.netns.path) };
}

const filesIn = (path: string) => (existsSync(path) ? readdirSync(path, { recursive: true, encoding: "utf8" }) : []);

/** Leases, backups, journals and cached results; not what was being written when the kill struck, which goes when it is old. */
const files = () =>
  [
    ...site.files("leases"),
    ...site.files("cni"),
    ...filesIn(site.path("tuning")),
    ...filesIn(results).filter((name) => name.startsWith(network)),
  ].filter((name) => !name.endsWith(".tmp"));

function expectNothing(place: string): void {
  expect(files(), place).toEqual([]);
  expect(diff(before.node, snapshot(site.node.path)), place).toEqual([]);
  if (pod.netns.exists()) expect(diff(before.pod, snapshot(pod.netns.path)), place).toEqual([]);
}

const placeOf = ({ systemCall, occurrence }: Fault) => `${systemCall} ${occurrence}`;

// What ends an attachment is the same code for all four: two of them have all of its sweeps.
describe.each([
  ["iptables", "by hand", byHand, true],
  ["iptables", "by the dispatcher", byDispatcher, false],
  ["nftables", "by hand", byHand, false],
  ["nftables", "by the dispatcher", byDispatcher, true],
] as const)("ports by %s, called %s", (backend, _, driver, hasAllSweeps) => {
  beforeEach(async () => {
    site = new MultusSite();
    network = `ports-${crypto.randomUUID()}`;
    defineNetwork(backend);
    freshPod();
    // Makes the folders and the chains that stay.
    await mustCallCni(driver.add());
    await mustCallCni(driver.del());
    freshPod();
  });
  afterEach(() => site[Symbol.dispose]());

  test("the chain is all there, and neither DEL nor GC leaves anything of it", async () => {
    await mustCallCni(driver.add());
    const made = JSON.stringify([snapshot(site.node.path), snapshot(pod.netns.path)]);
    for (const word of ["net1", chosenMac, "8081"]) expect(made).toContain(word);
    expect(pod.netns.run("ip", "rule", "show")).toContain("lookup 100");
    expect(files().length).toBeGreaterThan(3);
    await mustCallCni(driver.del());
    expectNothing("after DEL");
    defineNetwork(backend, {});
    freshPod();
    await mustCallCni(driver.add());
    pod.netns[Symbol.dispose]();
    await mustCallCni(driver.gc());
    expectNothing("after GC");
  });

  const ends: [string, () => Promise<CniCall>][] = [
    ["DEL", async () => (await mustCallCni(driver.add()), driver.del())],
  ];
  test.each<[string, () => CniCall | Promise<CniCall>]>([["ADD", () => driver.add()], ...(hasAllSweeps ? ends : [])])(
    "killed anywhere in %s, a DEL leaves nothing",
    async (_verb, start) => {
      const killed = await killAtEverySystemCall(
        async (isSomethingLeft) => {
          if (isSomethingLeft) await mustCallCni(driver.del());
          return start();
        },
        async (fault) => {
          await restoresEnded(site.node);
          await mustCallCni(driver.del());
          expectNothing(placeOf(fault));
        },
        steadyCalls,
      );
      expect(killed).toBeGreaterThan(10);
    },
    sweepTimeoutMs,
  );

  if (!hasAllSweeps) return;
  test(
    "killed anywhere in ADD, and the namespace was removed by hand, a GC leaves nothing",
    async () => {
      defineNetwork(backend, {});
      await killAtEverySystemCall(
        async (isSomethingLeft) => {
          if (isSomethingLeft) await mustCallCni(driver.del());
          // The node is as it was: the round before has seen to that.
          freshPod(before.node);
          return driver.add();
        },
        async (fault) => {
          await restoresEnded(site.node);
          pod.netns[Symbol.dispose]();
          await mustCallCni(driver.gc());
          expectNothing(placeOf(fault));
        },
        steadyCalls,
      );
    },
    sweepTimeoutMs,
  );
});
