import type { PodIdentity } from "../port.ts";
import { callUnary } from "./grpc.ts";
import { DeviceList, type PodDevices } from "./device-list.ts";
import { fieldBytes, fieldText, fieldTexts } from "./protobuf.ts";

/** What Multus waits and takes at most. */
const timeoutMs = 10_000;
const answerBytesMax = 16 * 1024 * 1024;

/**
 * The devices of a pod from kubelet's pod-resources API, v1 List (k8s.io/kubelet, pkg/apis/podresources/v1/api.proto): those of the device
 * plugins, and those of its claims (dynamic resource allocation). Undefined for a pod that kubelet does not list. Throws an `Error` that
 * says in one line why kubelet could not be asked or understood.
 */
export async function listedDevices(socket: string, pod: PodIdentity): Promise<PodDevices | undefined> {
  const method = "/v1.PodResourcesLister/List";
  const answer = await callUnary({ socket, method, request: new Uint8Array(0), timeoutMs, answerBytesMax });
  return devicesOf(answer, pod);
}

/**
 * The devices that a ListPodResourcesResponse has for one pod, containers in kubelet's order. A claim is a resource by its name, and by that
 * of each driver, since the name of a claim that was made from a template can't be known beforehand. Undefined when it lists no such pod.
 */
export function devicesOf(response: Uint8Array, { namespace, name }: PodIdentity): PodDevices | undefined {
  const devices = new DeviceList();
  let isListed = false;
  for (const pod of fieldBytes(response, 1)) {
    if (fieldText(pod, 1) !== name || fieldText(pod, 2) !== namespace) continue;
    isListed = true;
    for (const container of fieldBytes(pod, 3)) {
      for (const each of fieldBytes(container, 2)) devices.add(fieldText(each, 1), fieldTexts(each, 2));
      for (const claim of fieldBytes(container, 5)) addClaim(devices, claim);
    }
  }
  return isListed ? devices.byResource : undefined;
}

/** A DynamicResource. What stands behind "=" in the names of its CDI devices identifies them, as in Multus. */
function addClaim(devices: DeviceList, claim: Uint8Array): void {
  for (const resource of fieldBytes(claim, 4)) {
    const ids = fieldBytes(resource, 1).map((device) => fieldText(device, 1).replace(/^[^=]*=/, ""));
    devices.add(fieldText(claim, 2), ids);
    const driver = fieldText(resource, 2);
    if (driver !== "") devices.add(driver, ids);
  }
}
