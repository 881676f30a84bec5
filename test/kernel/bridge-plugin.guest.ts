import assert from "node:assert/strict";
import type { JsonObject } from "../../src/json/value.ts";
import type { Result } from "../../src/cni/result.ts";
import { BuiltinCaller } from "../kit/builtin-caller.ts";
import { NodeNetns, type PinnedNetns } from "../kit/node-netns.ts";
import { ping } from "../kit/ping.ts";
import { snapshot } from "../kit/snapshot.ts";
import type { GuestCases } from "./uml.ts";

class Stage implements Disposable {
  readonly node = new NodeNetns();
  readonly caller = new BuiltinCaller(this.node);

  add(config: JsonObject, pod: PinnedNetns = this.node.pod()): Promise<Result> {
    return this.caller.add({ config: { type: "bridge", ...config }, pod });
  }

  call(verb: "CHECK" | "DEL", config: JsonObject, pod: PinnedNetns, prevResult: Result): Promise<unknown> {
    return this.caller.call({ verb, config: { type: "bridge", ...config }, pod, prevResult });
  }

  /** The VLANs of a device of the node: "100 PVID,Egress Untagged", "101-103" for each range that iproute2 prints. */
  vlans(device: string | undefined): string[] {
    const rows = (snapshot(this.node.path).vlans[device ?? ""]?.["vlans"] ?? []) as {
      vlan: number;
      vlanEnd?: number;
      flags?: string[];
    }[];
    return rows.map(({ vlan, vlanEnd, flags = [] }) =>
      [vlanEnd === undefined ? String(vlan) : `${vlan}-${vlanEnd}`, flags.join(",")].join(" ").trim(),
    );
  }

  [Symbol.dispose](): void {
    this.caller[Symbol.dispose]();
    this.node[Symbol.dispose]();
  }
}

const untagged = (id: number) => `${id} PVID,Egress Untagged`;

function fixed(address: string): JsonObject {
  return { ipam: { type: "static", addresses: [{ address }] } };
}

/** ADD, the VLANs of the port, CHECK and DEL. */
async function portVlans(config: JsonObject): Promise<string[]> {
  using stage = new Stage();
  const pod = stage.node.pod();
  const result = await stage.add(config, pod);
  const data = snapshot(stage.node.path).links["cni0"]?.["linkinfo"] as { data: { vlan_filtering: number } };
  assert.equal(data.data.vlan_filtering, 1);
  const vlans = stage.vlans(result.interfaces[1]?.name);
  await stage.call("CHECK", config, pod, result);
  await stage.call("DEL", config, pod, result);
  return vlans;
}

const rejects = async (promise: Promise<unknown>, message: RegExp) => assert.rejects(promise, { message });

export const cases: GuestCases = {
  "a VLAN takes the place of the bridge's default": async () => {
    assert.deepEqual(await portVlans({ vlan: 100 }), [untagged(100)]);
  },
  "VLAN 1 may be asked for by name": async () => {
    assert.deepEqual(await portVlans({ vlan: 1 }), [untagged(1)]);
  },
  "a trunk has VLAN 1 for untagged frames": async () => {
    const vlanTrunk = [{ id: 101 }, { minID: 200, maxID: 210 }];
    const tagged = ["101", ...Array.from({ length: 11 }, (_, index) => String(200 + index))];
    assert.deepEqual(await portVlans({ vlanTrunk }), [untagged(1), ...tagged]);
  },
  "a trunk beside a VLAN": async () => {
    const config = { vlan: 100, vlanTrunk: [{ id: 101 }, { minID: 4093, maxID: 4094 }] };
    assert.deepEqual(await portVlans(config), [untagged(100), "101", "4093", "4094"]);
  },
  "a VLAN that its trunk has too stays the untagged one": async () => {
    assert.deepEqual(await portVlans({ vlan: 100, vlanTrunk: [{ minID: 99, maxID: 101 }] }), [
      "99",
      untagged(100),
      "101",
    ]);
  },
  "a whole trunk": async () => {
    assert.equal((await portVlans({ vlanTrunk: [{ minID: 1, maxID: 4094 }] })).length, 4094);
  },
  "an empty trunk filters and leaves the default": async () => {
    assert.deepEqual(await portVlans({ vlanTrunk: [] }), [untagged(1)]);
  },
  "the default VLAN may be preserved": async () => {
    assert.deepEqual(await portVlans({ vlan: 100, preserveDefaultVlan: true }), ["1 Egress Untagged", untagged(100)]);
  },
  "a default VLAN of another number is left too": async () => {
    using stage = new Stage();
    stage.node.ip("link add cni0 type bridge vlan_filtering 1 vlan_default_pvid 9");
    const result = await stage.add({ vlan: 100 });
    assert.deepEqual(stage.vlans(result.interfaces[1]?.name), [untagged(100)]);
  },
  "a bridge that does not filter is used, and that is said": async () => {
    using stage = new Stage();
    stage.node.ip("link add cni0 type bridge");
    const pod = stage.node.pod();
    const result = await stage.add({ vlan: 100 }, pod);
    assert.match(stage.caller.log.map(({ message }) => message).join(), /bridge cni0 does not filter VLANs/);
    await stage.call("CHECK", { vlan: 100 }, pod, result);
  },
  "the gateway of a VLAN is a device of its own": async () => {
    using stage = new Stage();
    const config = { vlan: 100, isDefaultGateway: true, ...fixed("10.1.2.5/24") };
    const pod = stage.node.pod();
    const result = await stage.add(config, pod);
    const { links, addresses } = snapshot(stage.node.path);
    assert.deepEqual(result.interfaces[3], { name: "cni0.100", mac: links["cni0.100"]?.["address"] });
    assert.equal(result.ips[0]?.interface, 2);
    assert.ok(addresses["cni0.100 10.1.2.1/24"] !== undefined && addresses["cni0 10.1.2.1/24"] === undefined);
    const port = String(links["cni0.100"]?.["link"]);
    assert.deepEqual([links[port]?.["master"], stage.vlans(port)], ["cni0", [untagged(100)]]);
    ping(pod.path, "10.1.2.1");
    await stage.call("CHECK", config, pod, result);
    // The next pod finds it there.
    const other = stage.node.pod();
    const before = Object.keys(snapshot(stage.node.path).links).length;
    await stage.add({ ...config, ...fixed("10.1.2.6/24") }, other);
    assert.equal(Object.keys(snapshot(stage.node.path).links).length, before + 1);
    ping(other.path, "10.1.2.5");
    await stage.call("DEL", config, pod, result);
    ping(other.path, "10.1.2.1");
    stage.node.ip("link del cni0.100");
    await stage.add({ ...config, ...fixed("10.1.2.7/24") });
    // It has another MAC now.
    other.ip("neigh flush dev net1");
    ping(other.path, "10.1.2.1");
  },
  "the gateway of a VLAN that a call has left half made is completed": async () => {
    using stage = new Stage();
    stage.node.ip("link add cni0 type bridge vlan_filtering 1", "link add cni0.100 type veth peer name p0");
    const pod = stage.node.pod();
    await stage.add({ vlan: 100, isGateway: true, ...fixed("10.1.2.5/24") }, pod);
    ping(pod.path, "10.1.2.1");
    assert.deepEqual(stage.vlans("p0"), [untagged(100)]);
  },
  "pods of different VLANs don't reach each other": async () => {
    using stage = new Stage();
    const pods = [100, 100, 200].map((vlan, index) => ({
      vlan,
      pod: stage.node.pod(),
      address: `10.1.2.${index + 5}`,
    }));
    for (const { vlan, pod, address } of pods) await stage.add({ vlan, ...fixed(`${address}/24`) }, pod);
    const [a, b, c] = pods.map(({ pod }) => pod.path);
    ping(a ?? "", "10.1.2.6");
    assert.throws(() => ping(a ?? "", "10.1.2.7", { timeoutMs: 1500 }), /does not answer/);
    assert.throws(() => ping(c ?? "", "10.1.2.6", { timeoutMs: 1500 }), /does not answer/);
    ping(b ?? "", "10.1.2.5");
  },
  "a pod on a trunk reaches the VLANs of its trunk": async () => {
    using stage = new Stage();
    const trunk = stage.node.pod();
    await stage.add({ vlanTrunk: [{ id: 100 }] }, trunk);
    for (const vlan of [100, 200]) {
      trunk.ip(
        `link add link net1 name v${vlan} type vlan id ${vlan}`,
        `addr add 10.1.${vlan}.9/24 dev v${vlan}`,
        `link set v${vlan} up`,
      );
      await stage.add({ vlan, ...fixed(`10.1.${vlan}.5/24`) });
    }
    ping(trunk.path, "10.1.100.5");
    assert.throws(() => ping(trunk.path, "10.1.200.5", { timeoutMs: 1500 }), /does not answer/);
  },
  "CHECK finds a VLAN that is missing, one too many, and a gateway that is gone": async () => {
    using stage = new Stage();
    const config = { vlan: 100, vlanTrunk: [{ minID: 101, maxID: 103 }], isGateway: true, ...fixed("10.1.2.5/24") };
    const pod = stage.node.pod();
    const result = await stage.add(config, pod);
    const port = result.interfaces[1]?.name ?? "";
    const check = () => stage.call("CHECK", config, pod, result);
    const bridge = (...words: string[]) => stage.node.run("bridge", "vlan", ...words, "dev", port);
    await check();
    bridge("del", "vid", "102");
    await rejects(check(), new RegExp(`^bridge port ${port} is not in VLAN 102 tagged$`));
    bridge("add", "vid", "102", "pvid", "untagged");
    await rejects(check(), /is not in VLAN 100 untagged, 102 tagged$/);
    bridge("add", "vid", "102");
    bridge("add", "vid", "100", "pvid", "untagged");
    bridge("add", "vid", "7");
    await rejects(check(), /is in VLAN 7 too$/);
    bridge("del", "vid", "7");
    await check();
    stage.node.ip("link set cni0.100 down");
    await rejects(check(), /^cni0\.100, the gateway, is down$/);
    stage.node.ip("link del cni0.100");
    await rejects(check(), /^cni0\.100, the gateway of VLAN 100, was not found$/);
  },
};
