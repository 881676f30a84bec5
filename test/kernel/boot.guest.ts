import assert from "node:assert/strict";
import { join } from "node:path";
import { callCni, polynicBin } from "../kit/cni-caller.ts";
import { runCommand } from "../kit/command.ts";
import { Lan, NodeNetns } from "../kit/node-netns.ts";
import { snapshot } from "../kit/snapshot.ts";
import type { GuestCases } from "./uml.ts";

/** Makes the link on a fresh node that has a dummy `up0`, and returns what the kernel says it is. */
function linkinfo(definition: string, name: string): unknown {
  using node = new NodeNetns();
  node.ip("link add up0 type dummy", "link set up0 up", `link add ${definition}`);
  return snapshot(node.path).links[name]?.["linkinfo"];
}

export const cases: GuestCases = {
  "has dummy links": () => {
    assert.deepEqual(linkinfo("d1 type dummy", "up0"), { kind: "dummy", data: {}, port: {} });
  },
  "has ipvlan links": () => {
    assert.partialDeepStrictEqual(linkinfo("link up0 name i0 type ipvlan mode l3", "i0"), {
      kind: "ipvlan",
      data: { mode: "l3" },
    });
  },
  "has VLAN links": () => {
    assert.partialDeepStrictEqual(linkinfo("link up0 name v0 type vlan id 5", "v0"), { kind: "vlan", data: { id: 5 } });
  },
  "has VRF links": () => {
    assert.partialDeepStrictEqual(linkinfo("vrf0 type vrf table 7", "vrf0"), { kind: "vrf", data: { table: 7 } });
  },
  "has bridges that filter VLANs": () => {
    using node = new NodeNetns();
    node.ip(
      "link add br0 type bridge vlan_filtering 1",
      "link add p0 type veth peer name p1",
      "link set p0 master br0",
    );
    node.run("bridge", "vlan", "add", "vid", "101", "dev", "p0", "pvid", "untagged");
    const vlans = snapshot(node.path).vlans["p0"]?.["vlans"];
    assert.partialDeepStrictEqual(vlans, [{ vlan: 1 }, { vlan: 101, flags: ["PVID", "Egress Untagged"] }]);
  },
  "carries ipvlan from node to node": () => {
    using lan = new Lan({ nodes: 2 });
    using pod = lan.node(0).pod();
    lan.node(0).ip(`link add link eth0 name net1 netns ${pod.name} type ipvlan mode l2`);
    pod.ip("addr add 192.0.2.1/24 dev net1", "link set net1 up");
    lan.node(1).ip("addr add 192.0.2.2/24 dev eth0");
    assert.ok(lan.node(1).reaches("192.0.2.1"));
  },
  "runs our executable as a CNI plugin": async () => {
    const outcome = await callCni({ executable: join(polynicBin, "polynic"), command: "VERSION" });
    assert.equal(outcome.signal, undefined);
    assert.notEqual(outcome.stdout, "");
  },
  "is found fit for every kind of network by `polynic check`": () => {
    const done = Bun.spawnSync([join(polynicBin, "polynic"), "check", "--pre", "-o", "json"]);
    const findings = JSON.parse(done.stdout.toString()) as { code: string; verdict: string }[];
    const kinds = ["veth", "bridge", "macvlan", "ipvlan", "vlan", "vrf"].map((kind) => `kernel-${kind}`);
    assert.deepEqual(
      findings.filter(({ code }) => kinds.includes(code)).map(({ code, verdict }) => [code, verdict]),
      kinds.map((code) => [code, "ok"]),
    );
  },
  "cannot write to the machine's file system": () => {
    assert.throws(() => runCommand(["touch", import.meta.filename]), /Read-only file system/);
  },
};
