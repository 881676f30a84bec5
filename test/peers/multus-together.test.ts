// Go Multus and ours on one cniDir: either reads the journal of the other, so that nodes can be changed over, and back, with pods on them.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CniCall, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { leftovers } from "../kit/diff.ts";
import { Lan, type NodeNetns, type PinnedNetns } from "../kit/node-netns.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { snapshot } from "../kit/snapshot.ts";
import { type TemporaryFolder, temporaryFolder } from "../kit/tmp.ts";

type Side = "go" | "ours";
const other = (side: Side): Side => (side === "go" ? "ours" : "go");

let lan: Lan;
let node: NodeNetns;
let pod: PinnedNetns;
let folder: TemporaryFolder;
beforeEach(() => {
  lan = new Lan({ nodes: 1 });
  node = lan.node();
  pod = node.pod();
  folder = temporaryFolder();
});
afterEach(() => {
  lan[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const ipam = (subnet: string) => ({ type: "host-local", subnet, dataDir: join(folder.path, "leases") });

function call(side: Side, command: string, more: Partial<CniCall> = {}): CniCall {
  const bin = side === "go" ? peerTools().bin : polynicBin;
  const delegates = [
    {
      cniVersion: "1.0.0",
      name: "cluster",
      type: "bridge",
      bridge: "br0",
      isDefaultGateway: true,
      ipMasq: true,
      ipam: ipam("10.1.0.0/24"),
    },
    { cniVersion: "1.0.0", name: "lan", plugins: [{ type: "macvlan", master: "eth0", ipam: ipam("10.2.0.0/24") }] },
    { cniVersion: "1.0.0", name: "store", type: "macvlan", master: "eth0", ipam: ipam("10.3.0.0/24") },
  ];
  return {
    executable: join(bin, "multus"),
    command,
    config: {
      cniVersion: "1.0.0",
      name: "multus-cni-network",
      type: "multus",
      cniDir: join(folder.path, "multus"),
      binDir: bin,
      logFile: "",
      delegates,
    },
    containerId: "ctr0",
    netns: pod.path,
    ifName: "eth0",
    node,
    ...more,
  };
}

/** Journals, results and leases; not what either keeps for the next call (locks, the last address, whom it has detached). */
function files(): string[] {
  return readdirSync(folder.path, { recursive: true, withFileTypes: true })
    .filter(
      ({ name, parentPath }) => !/^(lock|last_reserved_ip\..*)$/.test(name) && !/\/(locks|\.settled)/.test(parentPath),
    )
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();
}

test.each<Side>(["go", "ours"])("what %s attached, the other one takes away to the last file", async (side) => {
  // The bridge and its gateway outlive pods, on both sides.
  await mustCallCni(call(side, "ADD"));
  await mustCallCni(call(side, "DEL"));
  const before = { node: snapshot(node.path), pod: snapshot(pod.path) };
  await mustCallCni(call(side, "ADD"));
  expect(files()).toEqual(expect.arrayContaining(["10.1.0.3", "10.2.0.3", "10.3.0.3", "ctr0"]));
  await mustCallCni(call(other(side), "DEL"));
  expect(files()).toEqual([]);
  expect(leftovers(before.node, snapshot(node.path))).toEqual([]);
  expect(leftovers(before.pod, snapshot(pod.path))).toEqual([]);
});

test("what Go attached passes our CHECK, all of it", async () => {
  await mustCallCni(call("go", "ADD"));
  await mustCallCni(call("ours", "CHECK"));
  pod.ip("link del net2");
  await expect(mustCallCni(call("ours", "CHECK"))).rejects.toThrow("net2");
  await mustCallCni(call("ours", "DEL"));
  expect(files()).toEqual([]);
});

test("what Go attached, ours deletes when the pod's namespace is gone", async () => {
  await mustCallCni(call("go", "ADD"));
  pod[Symbol.dispose]();
  await mustCallCni(call("ours", "DEL"));
  expect(files()).toEqual([]);
});
