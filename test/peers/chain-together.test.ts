// A chain that one side adds and the other checks and deletes: nothing is left, and nobody minds.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { diff } from "../kit/diff.ts";
import { Lan } from "../kit/node-netns.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { snapshot } from "../kit/snapshot.ts";
import { type TemporaryFolder, temporaryFolder } from "../kit/tmp.ts";
import { cnitool } from "./cnitool.ts";

let lan: Lan;
let folder: TemporaryFolder;
beforeEach(() => {
  lan = new Lan();
  folder = temporaryFolder();
});
afterEach(() => {
  lan[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const sides = { theirs: () => peerTools().bin, ours: () => polynicBin };
type Side = keyof typeof sides;

const ipam = {
  type: "static",
  addresses: [{ address: "192.0.2.5/24", gateway: "192.0.2.1" }, { address: "2001:db8::5/64" }],
  routes: [{ dst: "10.0.0.0/8", gw: "192.0.2.9" }],
};
const first = {
  macvlan: { type: "macvlan", master: "eth0", ipam },
  bridge: { type: "bridge", bridge: "br0", ipam },
};

function write(kind: keyof typeof first, behind: readonly object[]): void {
  const plugins = [first[kind], ...behind];
  folder.write("net.d/10-lan.conflist", { cniVersion: "1.0.0", name: `lan-${kind}`, plugins });
}

const tuning = () => ({
  type: "tuning",
  dataDir: join(folder.path, "tuning"),
  mac: "02:00:00:00:00:0a",
  mtu: 1400,
  promisc: true,
  allmulti: true,
  txQLen: 777,
});

const hosts: readonly (keyof typeof first)[] = ["macvlan", "bridge"];
const pairs: readonly (readonly [Side, Side])[] = [
  ["theirs", "ours"],
  ["ours", "theirs"],
  ["ours", "ours"],
];

describe.each(hosts)("behind %s", (kind) => {
  test.each(pairs)("%s add, %s delete", async (adder, deleter) => {
    write(kind, [tuning(), { type: "sbr" }]);
    const node = lan.node();
    const pod = node.pod();
    pod.up("lo");
    const before = snapshot(pod.path);
    const common = {
      network: `lan-${kind}`,
      netns: pod.path,
      node,
      confDir: join(folder.path, "net.d"),
      ifName: "net1",
    };
    const added = await cnitool({ ...common, verb: "add", path: sides[adder]() });
    expect(added.exitCode, added.stdout + added.stderr).toBe(0);
    expect(snapshot(pod.path).links["net1"]).toMatchObject({ address: "02:00:00:00:00:0a", mtu: 1400, txqlen: 777 });
    // The Go plugins look for routes in the main table only.
    if (deleter === "ours")
      expect(await cnitool({ ...common, verb: "check", path: polynicBin })).toMatchObject({ exitCode: 0 });
    const deleted = await cnitool({ ...common, verb: "del", path: sides[deleter]() });
    expect(deleted.exitCode, deleted.stdout + deleted.stderr).toBe(0);
    expect(diff(before, snapshot(pod.path))).toEqual([]);
    expect(readdirSync(join(folder.path, "tuning"))).toEqual([]);
  });

  test.each<[Side, Side]>([
    ["theirs", "ours"],
    ["ours", "theirs"],
  ])("what tuning of %s has changed, %s puts back", async (adder, deleter) => {
    write(kind, []);
    const node = lan.node();
    const pod = node.pod();
    const common = {
      network: `lan-${kind}`,
      netns: pod.path,
      node,
      confDir: join(folder.path, "net.d"),
      ifName: "net1",
    };
    const added = await cnitool({ ...common, verb: "add", path: polynicBin });
    const state = snapshot(pod.path).links;
    const config = { cniVersion: "1.0.0", name: "lan", ...tuning(), prevResult: added.result };
    const call = (command: string, side: Side) =>
      mustCallCni({
        executable: join(sides[side](), "tuning"),
        command,
        config,
        containerId: "ctr0",
        netns: pod.path,
        ifName: "net1",
        node,
      });
    await call("ADD", adder);
    expect(snapshot(pod.path).links["net1"]).toMatchObject({ mtu: 1400, txqlen: 777 });
    await call("DEL", deleter);
    expect(diff(state, snapshot(pod.path).links)).toEqual([]);
    expect(readdirSync(join(folder.path, "tuning"))).toEqual([]);
    await cnitool({ ...common, verb: "del", path: polynicBin });
  });
});
