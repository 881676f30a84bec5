// Pods by manifest on a whole node: from `kubectl apply` of the DaemonSet to the deletion of the last pod.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { primaryPlugins } from "../kit/cri-node.ts";
import type { KubeJson } from "../kit/kube-admin.ts";
import { networkStatus, podObject } from "../kit/kube-node.ts";
import { useKubeNode } from "./use-node.ts";

const deploy = join(import.meta.dirname, "..", "..", "deploy");
const manifest = join(deploy, "base", "polynic.yaml");
const uninstallManifest = join(deploy, "uninstall", "base", "uninstall.yaml");
const node = useKubeNode();

const lan = { cniVersion: "1.0.0", type: "bridge", bridge: "br-lan" };

function network(name: string, config: object): KubeJson {
  return {
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: { namespace: "default", name },
    spec: { config: JSON.stringify(config) },
  };
}

beforeAll(async () => {
  const ipam = { type: "host-local", ranges: [[{ subnet: "10.78.0.0/16" }]] };
  await node().admin.create(network("lan", { ...lan, ipam }));
  await node().admin.create(network("claimed", { ...lan, ipam: { type: "whereabouts", range: "10.79.0.0/16" } }));
});

test("the DaemonSet's pod puts executable, config and credentials into place, without any capability", async () => {
  const here = node();
  await here.runDaemonSet(manifest, "polynic");
  const pod = await here.ready("polynic", "kube-system");
  expect((pod["status"] as { qosClass: string }).qosClass).toBe("Guaranteed");
  await here.until("the config", () => existsSync(here.cri.path("net.d/00-multus.conflist")));
  expect(readFileSync(here.cri.path("net.d/multus.d/multus.kubeconfig"), "utf8")).toContain("tokenFile: token");
  const found = await here.cri.polynic("check", "-o", "json");
  const verdicts = JSON.parse(found) as { code: string; verdict: string; message: string }[];
  expect(verdicts.filter(({ verdict }) => verdict === "failed")).toEqual([]);
  expect(verdicts.find(({ code }) => code === "token-expiry")?.verdict).toBe("ok");
});

test("a pod with an annotation runs with its networks, says so, and its deletion frees everything", async () => {
  const here = node();
  await here.createPod("web", "lan");
  const pod = await here.ready("web");
  expect(networkStatus(pod)).toMatchObject([
    { name: "primary", interface: "eth0", default: true },
    { name: "default/lan", interface: "net1", ips: [expect.stringMatching(/^10\.78\./)] },
  ]);
  const { podIP } = pod["status"] as { podIP: string };
  expect(podIP).toMatch(/^10\.77\./);
  const events = await here.events("web");
  expect(events).toContainEqual(expect.stringMatching(/^Normal AddedInterface Add eth0 \[10\.77\.\S+\] from primary$/));
  expect(events).toContainEqual(
    expect.stringMatching(/^Normal AddedInterface Add net1 \[10\.78\.\S+\] from default\/lan$/),
  );
  await here.deletePod("web");
  await here.untilNothingIsLeft();
});

test("a pod costs the API server five requests, and its deletion none", async () => {
  const here = node();
  const isOurs = (user: string): boolean => user === "system:serviceaccount:kube-system:polynic";
  here.audit.countByNamespace(isOurs);
  await here.createPod("counted", "lan");
  await here.ready("counted");
  expect(here.audit.countByNamespace(isOurs).get("default")).toBe(5);
  await here.deletePod("counted");
  expect(here.audit.countByNamespace(isOurs).get("default")).toBeUndefined();
});

test("a network that does not exist keeps the pod from running, the event says so, and the pod can be deleted", async () => {
  const here = node();
  await here.createPod("lost", "lam");
  await here.until("the event", async () =>
    (await here.events("lost")).some((event) => event.startsWith("Warning NoNetworkFound")),
  );
  await here.deletePod("lost");
  await here.untilNothingIsLeft();
});

test("a static pod gets its networks, and its mirror the status", async () => {
  const here = node();
  const { metadata, ...rest } = podObject("static", "default", "lan");
  here.cri.write("static/pod.json", { ...rest, metadata });
  const pod = await here.ready("static-node1");
  expect(networkStatus(pod)).toHaveLength(2);
  rmSync(here.cri.path("static/pod.json"));
  await here.until("the mirror to be gone", async () => (await here.find("static-node1")) === undefined);
  await here.untilNothingIsLeft();
});

test("another pod of the DaemonSet means another token: pods go on, also those that came in between", async () => {
  const here = node();
  const token = () => readFileSync(here.cri.path("net.d/multus.d/token"), "utf8");
  const first = token();
  // The token is bound to the pod, and dies with it.
  await here.deletePod("polynic", "kube-system");
  await here.createPod("between", "lan");
  await here.runDaemonSet(manifest, "polynic-2");
  await here.ready("polynic-2", "kube-system");
  await here.until("the new token", () => token() !== first);
  expect(networkStatus(await here.ready("between"))).toHaveLength(2);
  await here.deletePod("between");
  await here.untilNothingIsLeft();
});

test("kubelet rotates the token of the DaemonSet's pod: the copy follows, and the new one serves", async () => {
  const here = node();
  const token = () => readFileSync(here.cri.path("net.d/multus.d/token"), "utf8");
  const first = token();
  // Its own time for that is minutes; a kubelet that has just started has no token yet for the pods that run.
  await here.restartKubelet();
  await here.until("the rotated token", () => token() !== first);
  const [before, after] = [first, token()].map(
    (text) => JSON.parse(Buffer.from(text.split(".")[1] ?? "", "base64url").toString()) as object,
  );
  const pod = { "kubernetes.io": expect.objectContaining({ pod: expect.objectContaining({ name: "polynic-2" }) }) };
  expect(before).toMatchObject(pod);
  expect(after).toMatchObject(pod);
  await here.createPod("rotated", "lan");
  expect(networkStatus(await here.ready("rotated"))).toHaveLength(2);
  await here.deletePod("rotated");
  await here.untilNothingIsLeft();
});

test("kubelet swaps the folder of credentials for a new CA: the kubeconfig follows, and pods go on", async () => {
  const here = node();
  const authority = (): unknown => {
    const text = readFileSync(here.cri.path("net.d/multus.d/multus.kubeconfig"), "utf8");
    return /certificate-authority-data: (\S+)/.exec(text)?.[1];
  };
  // As while a CA is being replaced: both are trusted.
  const both = `${here.api.ca}\n# the next one\n${here.api.ca}`;
  const path = "/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt";
  await here.admin.send("PATCH", path, { data: { "ca.crt": both } });
  await here.until("the kubeconfig with both", () => authority() === btoa(both));
  await here.createPod("after", "lan");
  expect(networkStatus(await here.ready("after"))).toHaveLength(2);
  await here.deletePod("after");
  await here.untilNothingIsLeft();
});

test("taken off by its manifest: running pods keep their networks, new ones do without, and at the end there is no trace", async () => {
  const here = node();
  await here.createPod("staying", "lan,claimed");
  await here.ready("staying");
  await here.deletePod("polynic-2", "kube-system");
  await here.runDaemonSet(uninstallManifest, "polynic-uninstall", []);
  await here.until("the config to go", () => !existsSync(here.cri.path("net.d/00-multus.conflist")));
  await here.createPod("late", "lan");
  expect(networkStatus(await here.ready("late"))).toEqual([]);
  // Its init container waits as long as the first pod holds its networks.
  expect(existsSync(here.cri.path("bin/multus"))).toBe(true);
  await here.deletePod("staying");
  await here.ready("polynic-uninstall", "kube-system");
  // The token of the pod that installed is no token any more: the address went back with that of the pod that uninstalls.
  const path = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/overlappingrangeipreservations";
  expect(((await here.admin.send("GET", path)) as unknown as { items: unknown[] }).items).toEqual([]);
  expect(readdirSync(here.cri.path("net.d"))).toEqual(["10-primary.conflist"]);
  expect(readdirSync(here.cri.path("bin")).sort()).toEqual(primaryPlugins);
  expect(existsSync("/var/lib/cni/multus")).toBe(false);
  await here.deletePod("late");
  await here.untilNothingIsLeft();
});
