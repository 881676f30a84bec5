import assert from "node:assert/strict";
import { BuiltinCaller } from "../kit/builtin-caller.ts";
import { runCommand } from "../kit/command.ts";
import { Lan, NodeNetns } from "../kit/node-netns.ts";
import { snapshot } from "../kit/snapshot.ts";
import type { GuestCases } from "./uml.ts";

const ipam = {
  type: "static",
  addresses: [{ address: "192.0.2.5/24", gateway: "192.0.2.1" }, { address: "2001:db8::5/64" }],
  routes: [
    { dst: "0.0.0.0/0" },
    { dst: "198.51.100.0/24", gw: "192.0.2.8" },
    { dst: "198.51.100.0/24", gw: "192.0.2.9" },
  ],
};
const config = { type: "macvlan", master: "eth0", ipam };

/** The guest's kernel is older than 6.13: it looks for a new link's name on the node, not in the pod. */
export const cases: GuestCases = {
  "IPv6 on a kernel without it is refused as such, and IPv4 works there": async () => {
    using node = new NodeNetns();
    node.ip("link add up0 type dummy", "link set up0 up");
    using pod = node.pod();
    using caller = new BuiltinCaller(node);
    const own = { ...config, master: "up0" };
    await assert.rejects(caller.add({ config: own, pod }), /2001:db8::5\/64 .* this kernel runs without IPv6$/);
    const v4 = { ...own, ipam: { type: "static", addresses: [{ address: "192.0.2.5/24" }] } };
    await caller.add({ config: v4, pod });
    assert.deepEqual(caller.log, []);
    // For the cases behind this one; uml.ts makes the command.
    runCommand(["/run/modprobe", "ipv6"]);
  },
  "a pod gets an interface of a name that the node has too": async () => {
    using lan = new Lan();
    const node = lan.node();
    using pod = node.pod();
    using caller = new BuiltinCaller(node);
    const before = snapshot(node.path);
    const prevResult = await caller.add({ config, pod, ifName: "eth0" });
    await caller.call({ verb: "CHECK", config, pod, ifName: "eth0", prevResult });
    assert.deepEqual(Object.keys(snapshot(pod.path).links), ["lo", "eth0"]);
    await assert.rejects(caller.add({ config, pod, ifName: "eth0" }), /failed to create macvlan: file exists; pod/);
    await caller.call({ verb: "DEL", config, pod, ifName: "eth0", prevResult });
    assert.deepEqual(Object.keys(snapshot(pod.path).links), ["lo"]);
    assert.deepEqual(snapshot(node.path), before);
  },
  "an ADD that fails under the first name leaves nothing": async () => {
    using lan = new Lan();
    const node = lan.node();
    using pod = node.pod();
    using caller = new BuiltinCaller(node);
    const before = snapshot(pod.path);
    const broken = { ...config, ipam: { ...ipam, routes: [{ dst: "198.51.100.0/24", gw: "203.0.113.1" }] } };
    await assert.rejects(caller.add({ config: broken, pod, ifName: "eth0" }), /network is unreachable/);
    assert.deepEqual(snapshot(pod.path), before);
  },
  "a dummy is a master as good as any, and addresses are usable at once": async () => {
    using node = new NodeNetns();
    node.ip("link add up0 type dummy", "link set up0 up");
    using pod = node.pod();
    using caller = new BuiltinCaller(node);
    await caller.add({ config: { ...config, master: "up0" }, pod });
    assert.doesNotMatch(pod.run("ip", "-6", "addr", "show", "dev", "net1"), /tentative/);
  },
  "a master that ipvlan has is refused with the reason": async () => {
    using node = new NodeNetns();
    node.ip("link add up0 type dummy", "link add link up0 name ipv0 type ipvlan mode l2");
    using pod = node.pod();
    using caller = new BuiltinCaller(node);
    await assert.rejects(
      caller.add({ config: { ...config, master: "up0" }, pod }),
      /failed to create macvlan: device or resource busy; up0 carries ipvlans \(interface ipv0 of the node\)/,
    );
  },
};
