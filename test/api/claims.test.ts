// Devices that come by claims (resource.k8s.io/v1) instead of device plugins, as drivers for network cards publish and schedulers allocate them.
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { FakeKubelet } from "../../src/cluster/kubelet/fake-kubelet.test-data.ts";
import { inWords } from "../kit/audit-log.ts";
import { callCni, polynicBin } from "../kit/cni-caller.ts";
import { newAccount, rulesOf } from "../kit/cluster.ts";
import type { KubeJson } from "../kit/kube-admin.ts";
import { errorOf, type Json, type SitePod } from "../kit/multus-site.ts";
import { Recorder } from "../kit/recorder.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
const driver = "sriov.example.com";
const apiVersion = "resource.k8s.io/v1";
let claimant: { readonly token: string };
let recorder: Recorder;
let kubelet: FakeKubelet;
let count = 0;

const conf = (): { conf: Json } => ({ conf: { kubeletDir: kubelet.path } });

/** A device as its driver publishes it. */
const published = (name: string, attributes: Readonly<Record<string, string>>): Json => ({
  name,
  attributes: Object.fromEntries(Object.entries(attributes).map(([key, string]) => [key, { string }])),
});

const nic = (name: string, id: string, resource: string): Json =>
  published(name, { "k8s.cni.cncf.io/deviceID": id, "k8s.cni.cncf.io/resourceName": resource });

async function publish(name: string, pool: string, generation: number, devices: readonly Json[], node = "node-1") {
  const spec = { driver, nodeName: node, pool: { name: pool, generation, resourceSliceCount: 1 }, devices };
  await site().admin.create({ apiVersion, kind: "ResourceSlice", metadata: { name }, spec });
}

/** A claim with one request for each device, allocated. */
async function claim(devices: readonly string[]): Promise<string> {
  const { admin, namespace } = site();
  const name = `claim-${count++}`;
  const requests = devices.map((_, index) => ({ name: `r${index}`, exactly: { deviceClassName: "nics" } }));
  const object: KubeJson = {
    apiVersion,
    kind: "ResourceClaim",
    metadata: { name, namespace },
    spec: { devices: { requests } },
  };
  await admin.create(object);
  const results = devices.map((device, index) => ({ request: `r${index}`, driver, pool: "pool", device }));
  await admin.send("PATCH", `/apis/${apiVersion}/namespaces/${namespace}/resourceclaims/${name}/status`, {
    status: { allocation: { devices: { results } } },
  });
  return name;
}

/** A pod that has these claims, in this order. */
async function podWith(networks: string, claims: readonly string[]): Promise<SitePod> {
  const here = site();
  const pod = await here.pod(networks);
  const names = claims.map((resourceClaimName, index) => ({ name: `c${index}`, resourceClaimName }));
  const object = here.podObject(pod.name, { "k8s.v1.cni.cncf.io/networks": networks });
  await here.deletePod(pod);
  const spec = { ...(object["spec"] as Json), resourceClaims: names };
  const { metadata } = await here.admin.create({ ...object, spec });
  const path = `/api/v1/namespaces/${here.namespace}/pods/${pod.name}/status`;
  await here.admin.send("PATCH", path, { status: { resourceClaimStatuses: names } });
  return { ...pod, uid: String(metadata["uid"]) };
}

/** The device ids that plugins were told, by interface. */
function told(): Record<string, unknown> {
  const added = recorder.take().filter(({ command }) => command === "ADD");
  return Object.fromEntries(added.map(({ ifName, config }) => [ifName, config["deviceID"]]));
}

beforeAll(async () => {
  const here = site();
  claimant = await newAccount(here.admin, "claimant", rulesOf("rbac.yaml", "rbac-claims.yaml"));
  for (const [name, resource] of [
    ["fast", "example.com/fast"],
    ["slow", "example.com/slow"],
  ] as const)
    await here.network(
      name,
      { cniVersion: "1.0.0", name, type: "recorder" },
      { "k8s.v1.cni.cncf.io/resourceName": resource },
    );
  await publish("old", "pool", 1, [nic("vf-1", "0000:01:00.9", "example.com/fast")]);
  await publish("new", "pool", 2, [
    nic("vf-1", "0000:01:00.1", "example.com/fast"),
    nic("vf-2", "0000:01:00.2", "example.com/fast"),
    nic("vf-3", "0000:01:00.3", "example.com/slow"),
    published("gpu", { model: "big" }),
  ]);
  await publish("elsewhere", "pool", 3, [nic("vf-1", "0000:99:00.1", "example.com/fast")], "node-2");
});
beforeEach(async () => {
  const here = site();
  recorder = new Recorder(here.local);
  recorder.take();
  kubelet = new FakeKubelet(here.local.path("kubelet"));
  here.useUser(claimant);
});

describe("a pod with claims", () => {
  test("gets the devices of its claims by the resource that each is published under, for a GET of each and a LIST of the driver's", async () => {
    const here = site();
    const pod = await podWith("fast,slow,fast", [await claim(["vf-2", "gpu"]), await claim(["vf-1", "vf-3"])]);
    await kubelet.listen([{ namespace: pod.namespace, name: pod.name, containers: [] }]);
    here.audit.take();
    expect(await here.call("ADD", pod, conf())).toMatchObject({ exitCode: 0, stderr: "" });
    const asked = here.audit.take(here.namespace, "").map(inWords);
    expect(told()).toEqual({ net1: "0000:01:00.2", net2: "0000:01:00.3", net3: "0000:01:00.1" });
    expect(asked.filter((words) => words.includes("resource")).sort()).toEqual([
      "get resourceclaims",
      "get resourceclaims",
      "list resourceslices",
    ]);
    expect(await here.call("DEL", pod, conf())).toMatchObject({ exitCode: 0, stderr: "" });
    expect(here.audit.take(here.namespace)).toEqual([]);
  });

  test("asks nothing when kubelet knows the devices itself", async () => {
    const here = site();
    const pod = await podWith("fast", [await claim(["vf-1"])]);
    const { namespace, name } = pod;
    await kubelet.listen([{ namespace, name, containers: [{ devices: [["example.com/fast", ["from-kubelet"]]] }] }]);
    here.audit.take(here.namespace);
    expect(await here.call("ADD", pod, conf())).toMatchObject({ exitCode: 0 });
    expect(told()).toEqual({ net1: "from-kubelet" });
    expect(here.audit.take(here.namespace).map(inWords)).not.toContain("get resourceclaims");
    await here.call("DEL", pod, conf());
  });

  test("is refused when they are too few, and told what to claim", async () => {
    const here = site();
    const pod = await podWith("fast,fast", [await claim(["vf-1", "gpu"])]);
    await kubelet.listen([]);
    const { msg, details } = errorOf(await here.call("ADD", pod, conf()));
    expect(msg).toContain(
      "need 2 devices of resource example.com/fast, and kubelet has assigned the pod 1 (0000:01:00.1)",
    );
    expect(details).toContain("whose attribute k8s.cni.cncf.io/resourceName says so");
    expect(recorder.take()).toEqual([]);
  });

  test("is refused for now without the rights of deploy/rbac-claims.yaml, and told the rule", async () => {
    const here = site();
    const pod = await podWith("fast", [await claim(["vf-1"])]);
    await kubelet.listen([]);
    await here.useAccount("polynic");
    const { code, msg } = errorOf(await here.call("ADD", pod, conf()));
    expect(code).toBe(11);
    expect(msg).toContain('- {apiGroups: ["resource.k8s.io"], resources: ["resourceclaims"], verbs: ["get"]}');
    expect(await here.events(pod)).toEqual([expect.stringMatching(/^Warning DevicesNotReadable get resourceclaim /)]);
  });

  test("is not kept from its networks by one that the node gives to every pod", async () => {
    const here = site();
    const pod = await podWith("", [await claim(["gpu"])]);
    await kubelet.listen([]);
    await here.useAccount("polynic");
    const cluster = { delegates: undefined, clusterNetwork: "fast", multusNamespace: here.namespace };
    const over = { conf: { ...conf().conf, ...cluster } };
    const outcome = await here.call("ADD", pod, over);
    expect(outcome.exitCode).toBe(0);
    expect(outcome.stderr).toContain("the pod's claims are passed over: get resourceclaim ");
    expect(told()).toEqual({ eth0: undefined });
    await here.call("DEL", pod, over);
  });

  test("is explained from anywhere: claims need no kubelet", async () => {
    const here = site();
    const pod = await podWith("fast", [await claim(["vf-2"])]);
    const file = here.local.folder.write("00-multus.conf", here.conf({ kubeletDir: "/nowhere" }));
    const argv = ["explain", `${pod.namespace}/${pod.name}`, "--conf", file, "-o", "json"];
    const outcome = await callCni({ executable: join(polynicBin, "polynic"), argv, node: here.local.node });
    expect(outcome.result).toMatchObject({ isRefused: false, notes: [], networks: [{}, { deviceId: "0000:01:00.2" }] });
  });
});
