// A dispatcher's node whose kubelet assigns devices, with the plugin that writes down what it is told of them.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { FakeKubelet, type KubeletContainer } from "../../src/cluster/kubelet/fake-kubelet.test-data.ts";
import type { CniOutcome } from "./cni-caller.ts";
import type { Json, MultusSite, SitePod } from "./multus-site.ts";
import { Recorder } from "./recorder.ts";

/** Where device plugins and CNI plugins tell of devices (device-info specification). */
export const infoFolder = "/var/run/k8s.cni.cncf.io/devinfo";
export const resource = "example.com/nic";
/** What a network says to be told which device it has. */
export const capable = { capabilities: { deviceID: true, CNIDeviceInfoFile: true } };

/** A container with these devices. */
export const nics = (...ids: string[]): KubeletContainer => ({ devices: [[resource, ids]] });

/** The device-info files of a container. */
export function infoFiles({ containerId }: SitePod): string[] {
  const folder = join(infoFolder, "cni");
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.includes(containerId)) : [];
}

export interface DeviceSite {
  readonly kubelet: () => FakeKubelet;
  readonly recorder: () => Recorder;
  /** Writes a network of the recording plugin, made of a device. */
  readonly deviceNetwork: (name: string, over?: Json, namespace?: string, wanted?: string) => void;
  /** Has kubelet list the pod with these containers. */
  readonly assigned: (pod: SitePod, ...containers: readonly KubeletContainer[]) => Promise<void>;
  /** Calls the dispatcher, told where kubelet is. */
  readonly call: (command: string, pod: SitePod, conf?: Json) => Promise<CniOutcome>;
}

/** A kubelet and a recorder for each test of the file. */
export function useDevices(site: () => MultusSite): DeviceSite {
  let kubelet: FakeKubelet | undefined;
  let recorder: Recorder | undefined;
  beforeEach(() => {
    kubelet = new FakeKubelet(site().path("kubelet"));
    recorder = new Recorder(site());
  });
  afterEach(() => kubelet?.close());
  const made = <T>(thing: T | undefined): T => {
    if (thing === undefined) throw new Error("only a test may ask for it: it is made before each");
    return thing;
  };
  return {
    kubelet: () => made(kubelet),
    recorder: () => made(recorder),
    deviceNetwork(name, over = {}, namespace = "default", wanted = resource) {
      const annotation = { "k8s.v1.cni.cncf.io/resourceName": wanted };
      site().network(name, { cniVersion: "1.0.0", type: "recorder", ...over }, namespace, annotation);
    },
    assigned: ({ namespace, name }, ...containers) => made(kubelet).listen([{ namespace, name, containers }]),
    call: (command, pod, conf = {}) => site().call(command, pod, { conf: { kubeletDir: made(kubelet).path, ...conf } }),
  };
}
