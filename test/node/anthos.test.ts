// The walk-through for clusters with several NICs per pod (Anthos): its networks and pods on a whole node, isolation on, events and logs read.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { runCommand } from "../kit/command.ts";
import { networkStatus } from "../kit/kube-node.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { useKubeNode } from "./use-node.ts";

const root = join(import.meta.dirname, "..", "..");
const example = (name: string): string => join(root, "conf-examples", "anthos", name);
const node = useKubeNode();

beforeAll(async () => {
  const here = node();
  // The NICs of the node: one end of a pair each, the other one stands for the switch.
  for (const name of ["enp2342", "vlan102"]) {
    runCommand(["ip", "link", "add", name, "type", "veth", "peer", "name", `${name}-peer`]);
    for (const end of [name, `${name}-peer`]) runCommand(["ip", "link", "set", end, "up"]);
  }
  const kubectl = join(peerTools("kubernetes").bin, "kubectl");
  const overlay = runCommand([kubectl, "kustomize", join(root, "deploy", "overlays", "anthos")]);
  await here.runDaemonSet(here.cri.write("anthos.yaml", overlay), "polynic");
  await here.ready("polynic", "kube-system");
  await here.until("the config", () => existsSync(here.cri.path("net.d/00-multus.conflist")));
  await here.applyExample(example("networks.yaml"), example("pods.yaml"));
});

/** Runs a command in a pod's network namespace, found by its address on the primary network. */
async function inside(name: string, command: readonly string[], namespace = "default"): Promise<string> {
  const { status } = (await node().ready(name, namespace)) as unknown as { status: { podIP: string } };
  return runCommand(command, { netns: node().cri.namespaceOf(status.podIP) });
}

test("two networks by namespace and name, the second with an address and a route of its own", async () => {
  const pod = await node().ready("samplepod");
  expect(networkStatus(pod)).toMatchObject([
    { interface: "eth0", default: true },
    { name: "default/gke-network-1", interface: "net1", ips: [expect.stringMatching(/^172\.120\.0\./)] },
    { name: "default/gke-network-2", interface: "net2", ips: ["10.10.0.1"] },
  ]);
  const routes = await inside("samplepod", ["ip", "route"]);
  expect(routes).toMatch(/^192\.168\.0\.0\/16 via 10\.10\.0\.254 dev net2/m);
  expect(routes).toMatch(/^default via 10\.77\.0\.1 dev eth0/m);
});

test("the same network twice gives two interfaces with two addresses", async () => {
  const [, first, second] = networkStatus(await node().ready("twice"));
  expect([first?.["interface"], second?.["interface"]]).toEqual(["net1", "net2"]);
  expect(first?.["ips"]).not.toEqual(second?.["ips"]);
});

test("source based routing: what comes from the network's address goes out through it", async () => {
  const [, sourced] = networkStatus(await node().ready("sourced"));
  const ips = (sourced?.["ips"] ?? []) as readonly string[];
  const address = String(ips[0]);
  expect(address).toMatch(/^21\.0\.111\./);
  const rule = new RegExp(`from ${address.replaceAll(".", "\\.")} lookup (\\d+)`).exec(
    await inside("sourced", ["ip", "rule"]),
  );
  const table = await inside("sourced", ["ip", "route", "show", "table", rule?.[1] ?? ""]);
  expect(table).toMatch(/^default via 21\.0\.111\.254 dev net1/m);
  expect(table).toMatch(new RegExp(`^21\\.0\\.104\\.0/21 dev net1 .*src ${address.replaceAll(".", "\\.")}`, "m"));
  expect(await inside("sourced", ["ip", "route"])).toMatch(/^default via 10\.77\.0\.1 dev eth0/m);
});

test("two networks of one NIC: a route through the first one's gateway, and the default route as it was", async () => {
  const [, first, second] = networkStatus(await node().ready("routed"));
  expect([first, second]).toMatchObject([
    { name: "default/routed", interface: "net1", ips: [expect.stringMatching(/^21\.0\.111\./)] },
    { name: "default/sourced", interface: "net2", ips: [expect.stringMatching(/^21\.0\.111\./)] },
  ]);
  expect(first?.["ips"]).not.toEqual(second?.["ips"]);
  const routes = await inside("routed", ["ip", "route"]);
  expect(routes).toMatch(/^172\.31\.0\.0\/16 via 21\.0\.111\.254 dev net1/m);
  expect(routes).toMatch(/^21\.0\.104\.0\/21 dev net1 /m);
  expect(routes).toMatch(/^default via 10\.77\.0\.1 dev eth0/m);
});

test("tuning changes what the bridge plugin made", async () => {
  expect(await inside("tuned", ["ip", "link", "show", "net1"])).toContain("mtu 1400");
});

test("a pod of another namespace uses its own network and one of default", async () => {
  const pod = await node().ready("operator", "privileged");
  expect(networkStatus(pod).map(({ name }) => name)).toEqual(["primary", "privileged/management", "default/tuned"]);
});

test("a network of another namespace is refused, and the pod's event says so", async () => {
  const here = node();
  const isRefused = async (): Promise<boolean> =>
    (await here.events("curious")).some((event) => event.startsWith("Warning NetworkNotAllowed"));
  await here.until("the event", isRefused);
  expect(await here.eventsText("curious", "default")).toContain(
    "namespace isolation enabled, annotation violates permission",
  );
});

test("the logs are where they are looked for", () => {
  expect(readFileSync("/var/log/multus.log", "utf8")).toContain("default/gke-network-1 net1");
  expect(readFileSync("/var/log/whereabouts.log", "utf8")).not.toBe("");
});

test("when all pods are deleted nothing of them is left, in the cluster either", async () => {
  const here = node();
  for (const name of ["samplepod", "twice", "sourced", "routed", "tuned", "curious"]) await here.deletePod(name);
  await here.deletePod("operator", "privileged");
  await here.untilNothingIsLeft("enp2342", "vlan102");
  const path = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/overlappingrangeipreservations";
  const { items } = (await here.admin.send("GET", path)) as unknown as { items: readonly unknown[] };
  expect(items).toEqual([]);
});
