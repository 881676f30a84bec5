import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { kubeconfig } from "../kit/cluster.ts";
import { runCommand } from "../kit/command.ts";
import { CriNode } from "../kit/cri-node.ts";
import type { KubeJson } from "../kit/kube-admin.ts";
import { KubeNode, networkStatus } from "../kit/kube-node.ts";
import { ping } from "../kit/ping.ts";
import type { GuestCases } from "../kernel/uml.ts";
import { becomeMachine } from "./guest-machine.ts";
import { Trunk } from "./trunk.ts";

const folder = join(import.meta.dirname, "..", "..", "conf-examples", "vlan");
const example = (name: string): string => join(folder, name);
const first = "vlan-192.168.100.211";
const pingTimeoutMs = 60_000;
const silenceMs = 3000;

let started: { readonly node: KubeNode; readonly trunk: Trunk } | undefined;

function site(): { readonly node: KubeNode; readonly trunk: Trunk } {
  if (started === undefined) throw new Error("the node did not start");
  return started;
}

/** The node has what the document's has: a default network by ptp, no VLAN of its own, and polynic as `polynic install` leaves it. */
async function start(): Promise<void> {
  becomeMachine();
  const trunk = new Trunk({ enp16s0f0: [100, 101], enp16s0f1: [102] });
  const primary = JSON.parse(readFileSync(example("10-calico.conflist"), "utf8")) as KubeJson;
  const node = await KubeNode.start(new CriNode(primary, ["ptp", "host-local", "loopback", "portmap"]));
  started = { node, trunk };
  const { cri, admin, api } = node;
  const token = await admin.token("kube-system", "polynic");
  const credentials = cri.write(
    "polynic.kubeconfig",
    kubeconfig({ server: admin.server, ca: api.ca, user: { token } }),
  );
  const log = ["--multus-log-file", cri.path("multus.log"), "--multus-log-level", "verbose"];
  await cri.polynic("install", "--multus-kubeconfig-file-host", credentials, ...log);
  const [dispatcher] = cri.dispatcherConf().plugins as readonly [{ delegates: readonly { name: string }[] }];
  assert.deepEqual(
    dispatcher.delegates.map(({ name }) => name),
    ["k8s-pod-network"],
  );
  await node.applyExample(example("networks.yaml"));
}

/** What netplan makes of the VLANs of 99-my-config.yaml. */
function applyNetplan(): void {
  const { network } = Bun.YAML.parse(readFileSync(example("99-my-config.yaml"), "utf8")) as {
    network: { vlans: Readonly<Record<string, { id: number; link: string; addresses: readonly string[] }>> };
  };
  for (const [name, { id, link, addresses }] of Object.entries(network.vlans)) {
    runCommand(["ip", "link", "add", "link", link, "name", name, "type", "vlan", "id", String(id)]);
    for (const address of addresses) runCommand(["ip", "addr", "add", address, "dev", name]);
    runCommand(["ip", "link", "set", name, "up"]);
  }
}

/** NICs of the node: one end of a pair each, the other one stands for the switch. */
function addNics(...names: readonly string[]): void {
  for (const name of names) {
    runCommand(["ip", "link", "add", name, "type", "veth", "peer", "name", `${name}-peer`]);
    for (const end of [name, `${name}-peer`]) runCommand(["ip", "link", "set", end, "up"]);
  }
}

/** From the switch's end with that address the pod's first further network is reached. */
function isPinged(pod: KubeJson, peer: string, address: string): void {
  const { ips = [] } = (networkStatus(pod)[1] ?? {}) as { readonly ips?: readonly string[] };
  runCommand(["ip", "addr", "add", address, "dev", peer]);
  ping("/proc/self/ns/net", String(ips[0]), { timeoutMs: pingTimeoutMs });
}

async function create(...names: readonly string[]): Promise<void> {
  for (const name of names) await site().node.createExamplePod(example("pods.yaml"), name);
}

/** Creates the pods, and returns each when it is ready. */
async function run(...names: readonly string[]): Promise<KubeJson[]> {
  await create(...names);
  return await Promise.all(names.map((name) => site().node.ready(name)));
}

/** Waits until an event of the pod says all of these words. */
async function isTold(name: string, ...words: readonly string[]): Promise<void> {
  const { node } = site();
  await node.until(`an event of ${name} with ${words.join(" … ")}`, async () =>
    (await node.events(name)).some((event) => words.every((each) => event.includes(each))),
  );
}

async function remove(...names: readonly string[]): Promise<void> {
  for (const name of names) await site().node.deletePod(name);
}

/** No pod is left on the node, nor anything of one; the trunk's namespaces are not pods'. */
async function nothingIsLeft(): Promise<void> {
  await site().node.untilNothingIsLeft("enp16s0f", "netns polynic-");
  assert.equal(runCommand(["ip", "-o", "link", "show", "type", "vlan"]), "");
}

/** Path of the network namespace of a pod, found by its address on the default network. */
function netnsOf(pod: KubeJson): string {
  const { podIP } = pod["status"] as { podIP: string };
  return site().node.cri.namespaceOf(podIP);
}

/** Interface and addresses of each network of the pod, as its status says. */
function networksOf(pod: KubeJson): unknown[] {
  return networkStatus(pod)
    .slice(1)
    .map(({ name, interface: nic, ips }) => [name, nic, ips]);
}

/** Both ways: the pod's address on a VLAN, and the address of the VLAN's host. */
function meetsHost(pod: KubeJson, vlan: number, address: string): void {
  ping(site().trunk.host(vlan).path, address, { timeoutMs: pingTimeoutMs });
  ping(netnsOf(pod), `192.168.${vlan}.200`, { timeoutMs: pingTimeoutMs });
}

const taken =
  "failed to create vlan: file exists (kernel: 8021q: VLAN device already exists); VLAN 100 of enp16s0f0 is taken";

export const cases: GuestCases = {
  "polynic install puts polynic before a default network of type ptp": start,
  "where the node has the VLAN itself the pod waits, and its event names the interface and a cure": async () => {
    applyNetplan();
    await create(first);
    const cure = "let the network be of type macvlan or ipvlan with master vlan.100";
    await isTold(first, "Warning FailedCreatePodSandBox", `${taken} by interface vlan.100 of the node`, cure);
  },
  "once that device is gone the pod comes up, with its address, and is pinged from the VLAN": async () => {
    runCommand(["ip", "link", "del", "vlan.100"]);
    const pod = await site().node.ready(first);
    assert.deepEqual(networksOf(pod), [["default/vlan100-conf", "net1", ["192.168.100.211"]]]);
    const netns = netnsOf(pod);
    assert.match(runCommand(["ip", "addr", "show", "eth0"], { netns }), /mtu 1450[^]* inet 10\.244\.25\./);
    assert.match(runCommand(["ip", "route"], { netns }), /^default via 10\.244\.25\.1 dev eth0/m);
    assert.match(
      runCommand(["ip", "-d", "addr", "show", "net1"], { netns }),
      /mtu 1500[^]*vlan protocol 802\.1Q id 100/,
    );
    meetsHost(pod, 100, "192.168.100.211");
  },
  "a second pod on that VLAN waits, and its event says which namespace has it; the first one's deletion lets it come up":
    async () => {
      await create("vlan-multi");
      await isTold(
        "vlan-multi",
        "Warning FailedCreatePodSandBox",
        `${taken} by interface net1 of /`,
        "use another vlanId",
      );
      await remove(first);
      assert.deepEqual(networksOf(await site().node.ready("vlan-multi")), [
        ["default/vlan100-conf", "net1", ["192.168.100.212"]],
        ["default/vlan101-conf", "net2", ["192.168.101.212"]],
      ]);
    },
  "a pod with two VLANs, and one with a third, meet the hosts of their own VLANs only": async () => {
    const [[third], multi] = [await run("vlan102"), await site().node.ready("vlan-multi")];
    if (third === undefined) throw new Error("no pod vlan102");
    assert.deepEqual(networksOf(third), [["default/vlan102-conf", "net1", ["192.168.102.211"]]]);
    meetsHost(multi, 100, "192.168.100.212");
    meetsHost(multi, 101, "192.168.101.212");
    meetsHost(third, 102, "192.168.102.211");
    // The same network in the wrong VLAN: on the wire nobody asks for it there.
    site().trunk.host(101).ip("addr add 192.168.100.66/24 dev eth0");
    const quiet = { timeoutMs: silenceMs };
    assert.throws(() => ping(netnsOf(multi), "192.168.100.66", quiet), /does not answer/);
    assert.throws(() => ping(site().trunk.host(101).path, "192.168.100.212", quiet), /does not answer/);
  },
  "deleted, the pods leave nothing, and they can be made again": async () => {
    await remove("vlan-multi", "vlan102");
    await nothingIsLeft();
    const [again] = await run("vlan-multi");
    if (again === undefined) throw new Error("no pod vlan-multi");
    meetsHost(again, 100, "192.168.100.212");
    meetsHost(again, 101, "192.168.101.212");
    await remove("vlan-multi");
    await nothingIsLeft();
  },
  "the other cure: two pods share the VLAN that the node keeps": async () => {
    applyNetplan();
    const [one, other] = await run("shared-1", "shared-2");
    if (one === undefined || other === undefined) throw new Error("a pod is missing");
    meetsHost(one, 100, "192.168.100.221");
    meetsHost(other, 100, "192.168.100.222");
    ping(netnsOf(one), "192.168.100.222", { timeoutMs: pingTimeoutMs });
    await remove("shared-1", "shared-2");
    runCommand(["ip", "link", "del", "vlan.100"]);
    await nothingIsLeft();
  },
  "networks of type ipvlan with whereabouts, as the documents of Anthos and GKE write them": async () => {
    const { node } = site();
    addNics("enp2342", "vlan102", "eth1");
    await node.applyExample(join(folder, "..", "anthos", "networks.yaml"));
    const pods = join(folder, "..", "anthos", "pods.yaml");
    for (const name of ["samplepod", "twice"]) await node.createExamplePod(pods, name);
    const [sample, twice] = [await node.ready("samplepod"), await node.ready("twice")];
    assert.deepEqual(
      networksOf(sample).map((network) => (network as string[])[0]),
      ["default/gke-network-1", "default/gke-network-2"],
    );
    for (const [pod, nic, kind] of [
      [sample, "net1", "ipvlan"],
      [sample, "net2", "macvlan"],
      [twice, "net1", "ipvlan"],
      [twice, "net2", "ipvlan"],
    ] as const)
      assert.match(
        runCommand(["ip", "-d", "link", "show", nic], { netns: netnsOf(pod) }),
        new RegExp(` ${kind} +mode `),
      );
    isPinged(sample, "enp2342-peer", "172.120.0.250/24");
    await remove("samplepod", "twice");
    await node.applyExample(join(folder, "..", "gke", "nad.yaml"));
    isPinged(await node.ready("samplepod"), "eth1-peer", "172.16.1.250/24");
    await remove("samplepod");
    await node.untilNothingIsLeft("enp16s0f", "netns polynic-", "enp2342", "vlan102", "eth1");
    const path = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/overlappingrangeipreservations";
    assert.deepEqual(((await node.admin.send("GET", path)) as unknown as { items: unknown[] }).items, []);
  },
};
