// Networks made of devices: what kubelet has assigned reaches the plugins, is told of in the status, and DEL forgets it.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeKubelet, type KubeletContainer } from "../../src/cluster/kubelet/fake-kubelet.test-data.ts";
import { callCni, type CniOutcome, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { killAtEverySystemCall } from "../kit/fault.ts";
import { errorOf, type Json, type MultusSite, type SitePod, useSite } from "../kit/multus-site.ts";
import { Recorder } from "../kit/recorder.ts";

const site = useSite();
const infoFolder = "/var/run/k8s.cni.cncf.io/devinfo";
const resource = "example.com/nic";
let kubelet: FakeKubelet;
let recorder: Recorder;

beforeEach(() => {
  kubelet = new FakeKubelet(site().path("kubelet"));
  recorder = new Recorder(site());
});
afterEach(() => kubelet.close());

/** A network of the recording plugin, made of a device. */
function deviceNetwork(name: string, over: Json = {}, namespace = "default", wanted = resource): void {
  const annotation = { "k8s.v1.cni.cncf.io/resourceName": wanted };
  site().network(name, { cniVersion: "1.0.0", type: "recorder", ...over }, namespace, annotation);
}

const capable = { capabilities: { deviceID: true, CNIDeviceInfoFile: true } };

/** Has kubelet list the pod with these containers. */
function assigned({ namespace, name }: SitePod, ...containers: readonly KubeletContainer[]): Promise<void> {
  return kubelet.listen([{ namespace, name, containers }]);
}

const nics = (...ids: string[]): KubeletContainer => ({ devices: [[resource, ids]] });

function call(command: string, pod: SitePod, conf: Json = {}) {
  return site().call(command, pod, { conf: { kubeletDir: kubelet.path, ...conf } });
}

/** The ids that the recording plugin was told, by interface. */
function told(): Record<string, unknown> {
  const added = recorder.take().filter(({ command }) => command === "ADD");
  return Object.fromEntries(added.map(({ ifName, config }) => [ifName, config["deviceID"]]));
}

/** The device-info files of a container. */
function infoFiles({ containerId }: SitePod): string[] {
  const folder = join(infoFolder, "cni");
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.includes(containerId)) : [];
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
    expect(kubelet.calls).toBe(1);

    const configs = recorder.take().map(({ ifName, config }) => [ifName, config["deviceID"], config["pciBusID"]]);
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

    await kubelet.close();
    expect(await call("CHECK", pod)).toMatchObject({ exitCode: 0 });
    expect(await call("DEL", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    const deleted = recorder.take().filter(({ command }) => command === "DEL");
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
    kubelet.checkpoint([{ PodUID: "uid-of-kubelet", ResourceName: resource, DeviceIDs: { "-1": ["from-file"] } }]);
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name};K8S_POD_UID=uid-of-kubelet`;
    const conf = { kubeletDir: kubelet.path };
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
    expect(kubelet.calls).toBe(0);
    await call("DEL", pod);
  });
});

describe("polynic explain and plan of a pod", () => {
  async function look(verb: string, pod: SitePod): Promise<CniOutcome> {
    const here = site();
    const conf = here.folder.write("00-multus.conf", here.conf({ kubeletDir: kubelet.path }));
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
    expect(recorder.take()).toEqual([]);
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
    await kubelet.listen([]);
    const unknown = `which devices of ${resource} the pod has is not known here: kubelet of this machine does not know the pod`;
    expect(await explained(pod)).toMatchObject({ isRefused: false, notes: [unknown] });
    expect((await look("plan", pod)).stderr).toBe(`default/${pod.name}: warning: ${unknown}\n`);
    await kubelet.close();
    expect((await explained(pod))["notes"]).toEqual([expect.stringContaining(`there is no ${kubelet.socket}`)]);
  });
});

describe("a pod is refused, with nothing attached,", () => {
  async function refused(pod: SitePod): Promise<{ error: ReturnType<typeof errorOf>; events: string[] }> {
    const here = site();
    const before = here.kernel(pod);
    const error = errorOf(await call("ADD", pod));
    expect(recorder.take()).toEqual([]);
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
    expect(error.msg).toContain(`there is no ${kubelet.socket}; there is no ${kubelet.path}/device-plugins/`);
    expect(events).toEqual([expect.stringMatching(/^Warning DevicesNotReadable ask kubelet for the devices of pod/)]);
  });
});

describe("what is known of a device", () => {
  const info = { type: "pci", version: "1.1.0", pci: { "pci-address": "0000:05:00.1" } };
  const source = join(infoFolder, "dp", "example.com-nic-0000:05:00.1-device.json");

  beforeEach(() => {
    mkdirSync(join(infoFolder, "dp"), { recursive: true });
    writeFileSync(source, JSON.stringify(info));
  });
  afterEach(() => rmSync(source, { force: true }));

  async function attached(here: MultusSite): Promise<SitePod> {
    deviceNetwork("nic", capable);
    const pod = here.pod("nic@x0");
    await assigned(pod, nics("0000:05:00.1"));
    await mustCallCni(here.cniCall("ADD", pod, { conf: { kubeletDir: kubelet.path } }));
    return pod;
  }

  test("by its device plugin is copied for the CNI plugin, told of in the status, and goes with DEL", async () => {
    const here = site();
    const pod = await attached(here);
    const file = `${infoFolder}/cni/default-nic-${pod.containerId}_x0`;
    expect(recorder.take()[0]?.config["runtimeConfig"]).toEqual({ deviceID: "0000:05:00.1", CNIDeviceInfoFile: file });
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(info);
    expect(statSync(file).mode & 0o777).toBe(0o444);
    expect(here.status(pod)?.[1]).toEqual({ name: "default/nic", dns: {}, "device-info": info });
    expect(here.statusText(pod)).toContain('"dns": {},\n    "device-info": {\n        "type": "pci",');
    expect(await call("DEL", pod)).toMatchObject({ exitCode: 0 });
    expect(infoFiles(pod)).toEqual([]);
    expect(existsSync(source)).toBe(true);
  });

  test.each<[string, (here: MultusSite, pod: SitePod) => void]>([
    ["the journal is lost", (here, pod) => rmSync(here.path("cni", pod.containerId))],
    ["the journal is torn", (here, pod) => writeFileSync(here.path("cni", pod.containerId), "")],
    [
      "the journal, the results and the pod are lost",
      (here, pod) => {
        rmSync(here.path("cni"), { recursive: true });
        rmSync(here.path("manifests", `pod-default-${pod.name}.json`));
      },
    ],
  ])("goes with a DEL when %s", async (_, breakIt) => {
    const here = site();
    const pod = await attached(here);
    breakIt(here, pod);
    expect(await call("DEL", pod)).toMatchObject({ exitCode: 0 });
    expect(infoFiles(pod)).toEqual([]);
  });

  test("goes with GC when its container is gone, and stays while it lives", async () => {
    const here = site();
    const [lives, died] = [await attached(here), await attached(here)];
    const valid = [{ containerID: lives.containerId, ifname: "eth0" }];
    const outcome = await call("GC", here.pod(), { "cni.dev/valid-attachments": valid });
    expect(outcome).toMatchObject({ exitCode: 0 });
    expect(infoFiles(died)).toEqual([]);
    expect(infoFiles(lives)).toEqual([`default-nic-${lives.containerId}_x0`]);
    await call("DEL", lives);
  });

  test.each([
    ["its own plugin fails", ["broken"]],
    ["a later network fails", ["nic", "broken"]],
  ])("goes again when %s", async (_, networks) => {
    const here = site();
    here.script("breaks", '[ "$CNI_COMMAND" != ADD ] || { echo \'{"code": 100, "msg": "no"}\'; exit 1; }');
    deviceNetwork("nic", capable);
    deviceNetwork("broken", { type: "breaks" });
    const pod = here.pod(networks.join(","));
    await assigned(pod, nics("0000:05:00.1", "0000:05:00.2"));
    expect(errorOf(await call("ADD", pod)).code).toBe(100);
    expect(infoFiles(pod)).toEqual([]);
  });

  test("is gone after a DEL wherever the ADD was killed", async () => {
    const here = site();
    deviceNetwork("nic", capable);
    let pod: SitePod | undefined;
    const conf = { kubeletDir: kubelet.path, delegates: [{ cniVersion: "1.0.0", name: "main", type: "recorder" }] };
    const leave = async (): Promise<void> => {
      if (pod === undefined) return;
      expect(await call("DEL", pod, conf)).toMatchObject({ exitCode: 0 });
      expect([here.files("cni/results"), infoFiles(pod)]).toEqual([[], []]);
      pod.netns[Symbol.dispose]();
    };
    const killed = await killAtEverySystemCall(
      async () => {
        await leave();
        pod = here.pod("nic");
        kubelet.checkpoint([{ PodUID: pod.uid, ResourceName: resource, DeviceIDs: { "0": ["0000:05:00.1"] } }]);
        return here.cniCall("ADD", pod, { conf });
      },
      () => {},
      ["write", "fdatasync", "?rename", "?renameat", "?renameat2", "?unlink", "unlinkat", "?mkdir", "mkdirat"],
      true,
    );
    expect(killed).toBeGreaterThan(5);
    await leave();
  });

  test("by the CNI plugin alone is told of too: it finds the folder made", async () => {
    const here = site();
    here.script(
      "tells",
      `file=$(sed 's/.*"CNIDeviceInfoFile":"\\([^"]*\\)".*/\\1/')`,
      `[ "$CNI_COMMAND" != ADD ] || { echo '{"type":"memif"}' > "$file"; echo '{"cniVersion":"1.0.0"}'; }`,
    );
    here.network("tells", { cniVersion: "1.0.0", type: "tells", capabilities: { CNIDeviceInfoFile: true } });
    const pod = here.pod("tells");
    expect(await call("ADD", pod)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(here.status(pod)?.[1]).toMatchObject({ "device-info": { type: "memif" } });
    expect(infoFiles(pod)).toHaveLength(1);
    await call("DEL", pod);
    expect(infoFiles(pod)).toEqual([]);
  });

  test("in words that nobody can read is left out of the status, with a line in the log", async () => {
    const here = site();
    writeFileSync(source, "{");
    deviceNetwork("nic");
    const pod = here.pod("nic");
    await assigned(pod, nics("0000:05:00.1"));
    const outcome = await call("ADD", pod);
    expect(outcome.exitCode).toBe(0);
    expect(outcome.stderr).toContain("network default/nic (interface net1): device info can't be read");
    expect(here.status(pod)?.[1]).toEqual({ name: "default/nic", dns: {} });
    await call("DEL", pod);
  });

  test("of a pod that Multus has attached goes with our DEL", async () => {
    const here = site();
    const pod = here.pod();
    const config = { cniVersion: "1.0.0", name: "nic", type: "recorder", deviceID: "0000:05:00.1" };
    const name = "default-nic";
    here.folder.write(
      `cni/${pod.containerId}`,
      JSON.stringify([
        { Name: "", Bytes: btoa(JSON.stringify({ cniVersion: "1.0.0", name: "m", type: "recorder" })) },
        { Name: "default/nic", deviceID: "0000:05:00.1", resourceName: resource, Bytes: btoa(JSON.stringify(config)) },
      ]),
    );
    mkdirSync(join(infoFolder, "cni"), { recursive: true });
    writeFileSync(join(infoFolder, "cni", `${name}-${pod.containerId}_net1`), "{}");
    expect(await call("DEL", pod)).toMatchObject({ exitCode: 0 });
    expect(infoFiles(pod)).toEqual([]);
  });
});
