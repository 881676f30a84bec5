// What is known of a device: it reaches the CNI plugin and the pod's status, and is forgotten with the attachment.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mustCallCni } from "../kit/cni-caller.ts";
import { capable, infoFiles, infoFolder, nics, resource, useDevices } from "../kit/device-site.ts";
import { killAtEverySystemCall } from "../kit/fault.ts";
import { errorOf, type MultusSite, type SitePod, useSite } from "../kit/multus-site.ts";

const site = useSite();
const { kubelet, recorder, deviceNetwork, assigned, call } = useDevices(site);

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
    await mustCallCni(here.cniCall("ADD", pod, { conf: { kubeletDir: kubelet().path } }));
    return pod;
  }

  test("by its device plugin is copied for the CNI plugin, told of in the status, and goes with DEL", async () => {
    const here = site();
    const pod = await attached(here);
    const file = `${infoFolder}/cni/default-nic-${pod.containerId}_x0`;
    expect(recorder().take()[0]?.config["runtimeConfig"]).toEqual({
      deviceID: "0000:05:00.1",
      CNIDeviceInfoFile: file,
    });
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
    const conf = { kubeletDir: kubelet().path, delegates: [{ cniVersion: "1.0.0", name: "main", type: "recorder" }] };
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
        kubelet().checkpoint([{ PodUID: pod.uid, ResourceName: resource, DeviceIDs: { "0": ["0000:05:00.1"] } }]);
        return here.cniCall("ADD", pod, { conf });
      },
      () => {},
      ["write", "fdatasync", "?rename", "?renameat", "?renameat2", "?unlink", "unlinkat", "?mkdir", "mkdirat"],
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
