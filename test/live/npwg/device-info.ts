// Device info 1.1.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { FakeKubelet } from "../../../src/cluster/kubelet/fake-kubelet.test-data.ts";
import type { Json, MultusSite, SitePod } from "../../kit/multus-site.ts";
import { Recorder } from "../../kit/recorder.ts";
import { main, type Rule, version } from "./world.ts";

/** A kubelet that has assigned the device `id` of example.com/nic to the pod, and a network that takes it. */
async function withDevice(
  here: MultusSite,
  id: string,
  body: (pod: SitePod, conf: Json, recorder: Recorder) => Promise<void>,
): Promise<void> {
  const annotation = { "k8s.v1.cni.cncf.io/resourceName": "example.com/nic" };
  const capabilities = { deviceID: true, CNIDeviceInfoFile: true };
  here.network("nic", { ...version, type: "recorder", capabilities }, "default", annotation);
  const source = `/var/run/k8s.cni.cncf.io/devinfo/dp/example.com-nic-${id}-device.json`;
  mkdirSync(join(source, ".."), { recursive: true });
  writeFileSync(source, JSON.stringify({ type: "pci", version: "1.1.0", pci: { "pci-address": id } }));
  const kubelet = new FakeKubelet(here.path("kubelet"));
  try {
    const pod = here.pod("nic");
    await kubelet.listen([{ ...pod, containers: [{ devices: [["example.com/nic", [id]]] }] }]);
    await body(pod, { ...main, kubeletDir: kubelet.path }, new Recorder(here));
  } finally {
    await kubelet.close();
    rmSync(source);
  }
}

const infoFile = ({ containerId }: SitePod): string =>
  `/var/run/k8s.cni.cncf.io/devinfo/cni/default-nic-${containerId}_net1`;

export const deviceInfoRules: readonly Rule[] = [
  {
    rule: "M35",
    says: "the device that kubelet has assigned: its device-info file is copied to one of the attachment's own",
    holds: (here) =>
      withDevice(here, "0000:35:00.0", async (pod, conf) => {
        expect(await here.call("ADD", pod, { conf })).toMatchObject({ exitCode: 0, stderr: "" });
        expect(JSON.parse(readFileSync(infoFile(pod), "utf8"))).toMatchObject({
          pci: { "pci-address": "0000:35:00.0" },
        });
        expect(statSync(infoFile(pod)).mode & 0o777).toBe(0o444);
        await here.call("DEL", pod, { conf });
      }),
  },
  {
    rule: "M36",
    says: "a plugin with the capability CNIDeviceInfoFile is told the path",
    holds: (here) =>
      withDevice(here, "0000:36:00.0", async (pod, conf, recorder) => {
        await here.call("ADD", pod, { conf });
        const told = { deviceID: "0000:36:00.0", CNIDeviceInfoFile: infoFile(pod) };
        expect(recorder.take()[1]?.config["runtimeConfig"]).toEqual(told);
        await here.call("DEL", pod, { conf });
      }),
  },
  {
    rule: "M37",
    says: "what the file holds after the ADD is published as device-info",
    holds: (here) =>
      withDevice(here, "0000:37:00.0", async (pod, conf) => {
        await here.call("ADD", pod, { conf });
        expect(here.status(pod)?.[1]?.["device-info"]).toEqual({
          type: "pci",
          version: "1.1.0",
          pci: { "pci-address": "0000:37:00.0" },
        });
        await here.call("DEL", pod, { conf });
      }),
  },
  {
    rule: "M38",
    says: "DEL deletes the file",
    holds: (here) =>
      withDevice(here, "0000:38:00.0", async (pod, conf) => {
        await here.call("ADD", pod, { conf });
        expect(existsSync(infoFile(pod))).toBe(true);
        expect(await here.call("DEL", pod, { conf })).toMatchObject({ exitCode: 0 });
        expect(existsSync(infoFile(pod))).toBe(false);
      }),
  },
];
