// GKE's walk-through: its manifest with polynic's image in place of three, kubelet's own credentials, the default network by name, and the
// collector of addresses.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { claimMetadata, holdFinalizer, ownerAnnotation, releaseAfter } from "../../src/pool/claim.ts";
import { runCommand } from "../kit/command.ts";
import type { KubeJson } from "../kit/kube-admin.ts";
import { networkStatus } from "../kit/kube-node.ts";
import { useKubeNode } from "./use-node.ts";

const root = join(import.meta.dirname, "..", "..");
const manifest = join(root, "deploy", "gke-multinet", "multinet.yaml");
const claims = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/overlappingrangeipreservations";
const resting = "172.16.1.77";
const node = useKubeNode();

beforeAll(async () => {
  const here = node();
  for (const end of ["eth1", "eth1-peer"])
    if (end === "eth1") runCommand(["ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth1-peer"]);
  for (const end of ["eth1", "eth1-peer"]) runCommand(["ip", "link", "set", end, "up"]);
  // GKE's default network has a config file of this name; ours is the node's primary under it.
  const primary = here.cri.path("net.d/10-primary.conflist");
  here.cri.write("net.d/10-gke-ptp.conflist", readFileSync(primary, "utf8").replace('"primary"', '"gke-pod-network"'));
  runCommand(["rm", primary]);
  // Where the document's config looks for it.
  mkdirSync("/var/lib/kubelet", { recursive: true });
  here.cri.write("kubelet-credentials", "");
  runCommand(["cp", here.cri.path("kubelet.kubeconfig"), "/var/lib/kubelet/kubeconfig"]);
});

test("the manifest's containers install polynic, and put its config into place", async () => {
  const here = node();
  const objects = (Bun.YAML.parse(readFileSync(manifest, "utf8")) as KubeJson[]).filter(
    ({ kind }) => kind !== "DaemonSet",
  );
  for (const object of objects) {
    // The cluster of the tests has roles of the same names: what counts here is what this manifest grants.
    if (object.apiVersion.startsWith("rbac.")) await here.admin.delete(object);
    const data = (object["data"] as { "cni-conf.json"?: string } | undefined)?.["cni-conf.json"];
    await here.admin.ensure(data === undefined ? object : { ...object, data: { "cni-conf.json": forThisNode(data) } });
  }
  await here.runDaemonSet(manifest, "gke-multinet", [], true);
  await here.ready("gke-multinet", "kube-system");
  expect(existsSync(here.cri.path("net.d/00-multus.conf"))).toBe(true);
  await leaveAddress();
});

/** As an attachment of another node has left it, which went before the address had rested: the collector needs no second look at it. */
async function leaveAddress(): Promise<void> {
  const facts = { pool: "172.16.1.0-24", range: "172.16.1.0/24", node: "gone", podUid: "gone", ifName: "net1" };
  const { labels, annotations } = claimMetadata({ ...facts, address: resting }, "gone");
  await node().admin.create({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "OverlappingRangeIPReservation",
    metadata: {
      name: resting,
      namespace: "kube-system",
      labels,
      annotations: { ...annotations, [ownerAnnotation]: "gone", ...releaseAfter(new Date(0)) },
      finalizers: [holdFinalizer],
    },
    spec: { podref: "default/gone", containerid: "gone", ifname: "net1" },
  });
}

async function heldAddresses(): Promise<string[]> {
  const { items } = (await node().admin.send("GET", claims)) as unknown as {
    items: readonly { metadata: { name: string } }[];
  };
  return items.map(({ metadata }) => metadata.name).filter((name) => name !== resting);
}

/** The config looks for the default network in the node's own folder, and keeps its journal there. */
function forThisNode(text: string): string {
  const here = node().cri;
  const conf = JSON.parse(text) as object;
  return JSON.stringify({ ...conf, confDir: here.path("net.d"), binDir: here.path("bin"), cniDir: here.path("cni") });
}

test("the sample pod has eth0 in gke-pod-network and net1 in my-nad, as the document shows it", async () => {
  const here = node();
  await here.applyExample(join(root, "conf-examples", "gke", "nad.yaml"));
  const pod = await here.ready("samplepod");
  expect(networkStatus(pod)).toMatchObject([
    { name: "gke-pod-network", interface: "eth0", default: true },
    { name: "default/my-nad", interface: "net1", ips: [expect.stringMatching(/^172\.16\.1\./)] },
  ]);
  expect(await here.events("samplepod")).toContainEqual(
    expect.stringMatching(/^Normal AddedInterface Add net1 \[172\.16\.1\./),
  );
});

test("its deletion frees the address", async () => {
  const here = node();
  await here.deletePod("samplepod");
  await here.untilNothingIsLeft("eth1");
  expect(await heldAddresses()).toEqual([]);
});

test("its collector of addresses gives back, within a minute, what a node that is gone has left", async () => {
  const isThere = async () =>
    (await node().admin.send("GET", `${claims}/${resting}`, undefined, [404])).kind !== "Status";
  await node().until("the collector's first pass", async () => !(await isThere()));
});
