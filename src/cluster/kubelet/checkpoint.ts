import { array, decode, either, mapOf, optional, stringList, struct, text } from "../../json/struct.ts";
import { parse } from "../../json/value.ts";
import { DeviceList, type PodDevices } from "./device-list.ts";

const schema = struct({
  Data: struct({
    PodDeviceEntries: optional(
      array(
        struct({
          PodUID: text(),
          ResourceName: text(),
          // By NUMA node since Kubernetes 1.20; one list before.
          DeviceIDs: optional(either(mapOf(stringList()), stringList()), []),
        }),
      ),
      [],
    ),
  }),
});

/**
 * The devices of the pod with that uid from the text of kubelet's checkpoint of its device manager (kubernetes, pkg/kubelet/cm/devicemanager/
 * checkpoint): entries in the file's order, NUMA nodes ascending. Claims are not in it, and its checksum is not verified. Undefined for a
 * pod that it does not know: one without devices is not in it. Throws `JsonError` for another shape.
 */
export function checkpointedDevices(content: string, podUid: string): PodDevices | undefined {
  const { Data } = decode(schema, parse(content).value);
  const devices = new DeviceList();
  for (const { PodUID, ResourceName, DeviceIDs } of Data.PodDeviceEntries) {
    if (PodUID === podUid) devices.add(ResourceName, Array.isArray(DeviceIDs) ? DeviceIDs : inNodeOrder(DeviceIDs));
  }
  return devices.byResource.size === 0 ? undefined : devices.byResource;
}

/** Node -1 stands for devices without a node. */
function inNodeOrder(idsByNode: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.keys(idsByNode)
    .sort((a, b) => Number(a) - Number(b))
    .flatMap((node) => idsByNode[node] ?? []);
}
