// Networks made of devices: what kubelet has assigned reaches the plugins, and a pod that has too few is refused.
import { beforeEach, describe, expect, test } from "vitest";
import { join } from "node:path";
import { callCni, type CniOutcome, polynicBin } from "../kit/cni-caller.ts";
import { capable, infoFiles, infoFolder, nics, resource, useDevices } from "../kit/device-site.ts";
import { errorOf, type Json, type SitePod, useSite } from "../kit/multus-site.ts";

const site = useSite();
const { kubelet, recorder, deviceNetwork, assigned, call } = useDevices(site);

/** The ids that the recording plugin was told, by interface. */
function told(): Record<string, unknown> {
  const added = recorder()
    .take()
    .filter(({ command }) => command === "ADD");
  return Object.fromEntries(added.map(({ ifName, config }) => [ifName, config["deviceID"]]));
}

describe("a pod with networks made of devices", () => {
  test("gets kubelet's devices in kubelet's order over all of its networks, each once (BUG 2.3: Multus gives two networks one device), and DEL needs no kubelet", async () => {
    const here = site();
    deviceNetwork("main", {}, "kube-system");
    deviceNetwork("one", capable);
    deviceNetwork("two", { type: undefined, plugins: [{ type: "recorder", pciBusID: "x" }, { type: "recorder" }] });
    here.network("plain", here.macvlan("plain", "10.2.0.0/24"));
    const pod = here.pod("one,plain,two", { "v1.multus-cni.io/default-network": "main" });
    await assigned(pod, nics("0000:03:02.3", "0000:03:02.1"), nics("0000:03:02.2"));
    expect(await call("ADD", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(kubelet().calls).toBe(1);

    const configs = recorder()
      .take()
      .map(({ ifName, config }) => [ifName, config["deviceID"], config["pciBusID"]]);
    expect(configs).toEqual([
      ["eth0", "0000:03:02.3", "0000:03:02.3"],
      ["net1", "0000:03:02.1", "0000:03:02.1"],
      ["net3", "0000:03:02.2", "0000:03:02.2"],
      ["net3", "0000:03:02.2", "0000:03:02.2"],
    ]);
    expect(here.journal(pod)?.map((entry) => [entry["resourceName"], entry["deviceID"]])).toEqual([
      [resource, "0000:03:02.3"],
      [resource, "0000:03:02.1"],
      [undefined, undefined],
      [resource, "0000:03:02.2"],
    ]);

    await kubelet().close();
    expect(await call("CHECK", pod)).toMatchObject({ exitCode: 0 });
    expect(await call("DEL", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    const deleted = recorder()
      .take()
      .filter(({ command }) => command === "DEL");
    expect(deleted.map(({ ifName, config }) => [ifName, config["deviceID"], config["runtimeConfig"]])).toEqual([
      ["net3", "0000:03:02.2", undefined],
      ["net3", "0000:03:02.2", undefined],
      [
        "net1",
        "0000:03:02.1",
        {
          deviceID: "0000:03:02.1",
          CNIDeviceInfoFile: `${infoFolder}/cni/default-one-${pod.containerId}_net1`,
        },
      ],
      ["eth0", "0000:03:02.3", undefined],
    ]);
  });

  test("gets them through a real macvlan too, which takes no notice", async () => {
    const here = site();
    here.network("nic", here.macvlan("nic", "10.3.0.0/24"), "default", { "k8s.v1.cni.cncf.io/resourceName": resource });
    const pod = here.pod("nic");
    const before = here.kernel(pod);
    await assigned(pod, nics("a"));
    expect(await call("ADD", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(here.status(pod)?.[1]).toMatchObject({ interface: "net1", ips: ["10.3.0.2"] });
    expect(await call("DEL", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(here.remains(before, pod)).toEqual([]);
  });

  test("shares one allocator with the node's own networks", async () => {
    deviceNetwork("cluster", {}, "kube-system");
    deviceNetwork("extra", {}, "kube-system");
    deviceNetwork("own");
    const pod = site().pod("own");
    await assigned(pod, nics("a", "b", "c"));
    const conf = { delegates: undefined, clusterNetwork: "cluster", defaultNetworks: ["extra"] };
    expect(await call("ADD", pod, conf)).toMatchObject({ exitCode: 0 });
    expect(told()).toEqual({ eth0: "a", net1: "b", net2: "c" });
    await call("DEL", pod, conf);
  });

  test("that asks for no device has its node's network without one", async () => {
    deviceNetwork("cluster", {}, "kube-system");
    const pod = site().pod();
    await assigned(pod);
    const conf = { delegates: undefined, clusterNetwork: "cluster" };
    expect(await call("ADD", pod, conf)).toMatchObject({ exitCode: 0 });
    expect(told()).toEqual({ eth0: undefined });
    await call("DEL", pod, conf);
  });

  test("takes a device of a claim by the claim's name", async () => {
    deviceNetwork("claimed", {}, "default", "my-nics");
    const pod = site().pod("claimed");
    const claim = { name: "my-nics", driver: "nic.example.com", cdiDevices: ["example.com/nic=0000:04:00.1"] };
    await assigned(pod, { claims: [claim] });
    expect(await call("ADD", pod)).toMatchObject({ exitCode: 0 });
    expect(told()).toEqual({ net1: "0000:04:00.1" });
    await call("DEL", pod);
  });

  test("has its devices from the checkpoint under the uid that the runtime passes, as static pods need it", async () => {
    const here = site();
    deviceNetwork("nic");
    const pod = here.pod("nic", { "kubernetes.io/config.source": "file" });
    kubelet().checkpoint([{ PodUID: "uid-of-kubelet", ResourceName: resource, DeviceIDs: { "-1": ["from-file"] } }]);
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name};K8S_POD_UID=uid-of-kubelet`;
    const conf = { kubeletDir: kubelet().path };
    expect(await here.call("ADD", pod, { args, conf })).toMatchObject({ exitCode: 0 });
    expect(told()).toEqual({ net1: "from-file" });
    await here.call("DEL", pod, { args, conf });
  });

  test("whose networks need no device costs kubelet no call", async () => {
    const here = site();
    here.network("plain", { cniVersion: "1.0.0", type: "recorder" });
    const pod = here.pod("plain");
    await assigned(pod, nics("a"));
    expect(await call("ADD", pod)).toMatchObject({ exitCode: 0 });
    expect(kubelet().calls).toBe(0);
    await call("DEL", pod);
  });
});

describe("polynic explain and plan of a pod", () => {
  async function look(verb: string, pod: SitePod): Promise<CniOutcome> {
    const here = site();
    const conf = here.folder.write("00-multus.conf", here.conf({ kubeletDir: kubelet().path }));
    const executable = join(polynicBin, "polynic");
    const argv = [verb, `default/${pod.name}`, "--conf", conf, "-o", "json"];
    return await callCni({ executable, argv, node: here.node });
  }
  const explained = async (pod: SitePod): Promise<Json> => (await look("explain", pod)).result as Json;

  beforeEach(() => {
    deviceNetwork("one", capable);
    deviceNetwork("two");
  });

  test("ask kubelet as an ADD would, and tell which device goes where", async () => {
    const pod = site().pod("one,two");
    await assigned(pod, nics("a", "b"));
    const { isRefused, networks, notes } = await explained(pod);
    expect({ isRefused, notes }).toEqual({ isRefused: false, notes: [] });
    expect(networks).toMatchObject([
      {},
      {
        resourceName: resource,
        deviceId: "a",
        plugins: [{ injected: { deviceID: "a", pciBusID: "a", runtimeConfig: { deviceID: "a" } } }],
      },
      { deviceId: "b", plugins: [{ injected: { deviceID: "b", pciBusID: "b" } }] },
    ]);
    expect((await look("plan", pod)).result).toMatchObject({
      pods: [
        { attachments: [{}, { config: { plugins: [{ deviceID: "a" }] } }, { capabilityArgs: { deviceID: "b" } }] },
      ],
    });
    expect(recorder().take()).toEqual([]);
  });

  test("say that it would be refused when it has too few", async () => {
    const pod = site().pod("one,two");
    await assigned(pod, nics("a"));
    const outcome = await look("explain", pod);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.result).toMatchObject({
      isRefused: true,
      networks: [{}, { refusals: [] }, { refusals: [{ reason: "NotEnoughDevices" }] }],
    });
    expect((await look("plan", pod)).stderr).toContain("need 2 devices of resource");
  });

  test("say what they can't find out where kubelet does not know the pod, or is not there", async () => {
    const pod = site().pod("one");
    await kubelet().listen([]);
    const unknown = `which devices of ${resource} the pod has is not known here: kubelet of this machine does not know the pod`;
    expect(await explained(pod)).toMatchObject({ isRefused: false, notes: [unknown] });
    expect((await look("plan", pod)).stderr).toBe(`default/${pod.name}: warning: ${unknown}\n`);
    await kubelet().close();
    expect((await explained(pod))["notes"]).toEqual([expect.stringContaining(`there is no ${kubelet().socket}`)]);
  });
});

describe("a pod is refused, with nothing attached,", () => {
  async function refused(pod: SitePod): Promise<{ error: ReturnType<typeof errorOf>; events: string[] }> {
    const here = site();
    const before = here.kernel(pod);
    const error = errorOf(await call("ADD", pod));
    expect(recorder().take()).toEqual([]);
    expect(here.remains(before, pod)).toEqual([]);
    expect(infoFiles(pod)).toEqual([]);
    return { error, events: here.events(pod) };
  }

  test("when it has fewer devices than its networks need", async () => {
    deviceNetwork("one");
    deviceNetwork("two");
    const pod = site().pod("one,two");
    await assigned(pod, nics("a"));
    const { error, events } = await refused(pod);
    expect(error).toEqual({
      code: 7,
      msg: `Multus: [default/${pod.name}/${pod.uid}]: networks default/one, default/two need 2 devices of resource ${resource}, and kubelet has assigned the pod 1 (a)`,
      details: `the pod must request as many: resources.limits {"${resource}": "2"} in one of its containers, or have a claim of that name, or of devices whose attribute k8s.cni.cncf.io/resourceName says so`,
    });
    expect(events).toEqual([
      expect.stringMatching(/^Warning NotEnoughDevices networks default\/one, default\/two need 2/),
    ]);
  });

  test("when kubelet can't be asked: to be tried again", async () => {
    deviceNetwork("one");
    const { error, events } = await refused(site().pod("one"));
    expect(error.code).toBe(11);
    expect(error.msg).toContain(`there is no ${kubelet().socket}; there is no ${kubelet().path}/device-plugins/`);
    expect(events).toEqual([expect.stringMatching(/^Warning DevicesNotReadable ask kubelet for the devices of pod/)]);
  });
});
