import type { PodDevices } from "../cluster/kubelet/device-list.ts";
import type { Pod, PodIdentity } from "../cluster/port.ts";
import { CniError, code } from "../cni/error.ts";
import type { Logger } from "../log/logger.ts";
import { DispatchError } from "./dispatch-error.ts";
import type { NetworkSource } from "./plan.ts";

/** The annotation of a NetworkAttachmentDefinition that names the resource whose devices its attachments are made of. */
export const resourceNameAnnotation = "k8s.v1.cni.cncf.io/resourceName";

/**
 * What kubelet has assigned to the pod, asked once for all of its networks; undefined when none of them needs a device, or the call is for no
 * pod. Throws `DispatchError` code 11 when kubelet can't be asked: it may be starting.
 */
export async function podDevices(
  kubeletDir: string,
  sources: readonly NetworkSource[],
  pod: Pod | undefined,
  identity: PodIdentity | undefined,
  log: Logger,
): Promise<PodDevices | undefined> {
  if (pod === undefined || sources.every(({ resourceName }) => resourceName === undefined)) return undefined;
  const { readPodDevices } = await import("../cluster/kubelet/pod-devices.ts");
  const { namespace, name } = pod;
  try {
    // The runtime passes on kubelet's own uid, which a static pod's mirror does not have.
    return await readPodDevices(kubeletDir, { namespace, name, uid: identity?.uid ?? pod.uid }, log);
  } catch (error) {
    const { message } = CniError.from(error);
    throw new DispatchError("DevicesNotReadable", message, { cause: error, code: code.tryAgainLater });
  }
}

/** The device of each network, by its position; undefined for a network that gets none. */
export interface DeviceAssignment {
  readonly deviceIds: readonly (string | undefined)[];
  /** One for each resource that the pod has too few devices of. */
  readonly shortages: readonly DeviceShortage[];
}

export interface DeviceShortage {
  /** Positions of the networks that go without. */
  readonly networks: readonly number[];
  readonly error: DispatchError;
}

/**
 * Gives each network that needs a device the next one of its resource, in the order of attachment and in kubelet's order, no device
 * twice (NPWG spec M35). Pure. A network that the node's config names goes without when the pod has no device of the resource at all: most
 * pods of the cluster ask for none. One that the pod's annotation names is a shortage then, unless the annotation brings a deviceID.
 */
export function assignDevices(
  sources: readonly (NetworkSource | undefined)[],
  devices: PodDevices | undefined,
): DeviceAssignment {
  if (devices === undefined) return { deviceIds: sources.map(() => undefined), shortages: [] };
  const taken = new Set<string>();
  const deviceIds = sources.map((source) => {
    const id = idsOf(devices, source).find((each) => !taken.has(each));
    if (id !== undefined) taken.add(id);
    return id;
  });
  const without = sources.flatMap((source, index) => {
    const isShort = source?.resourceName !== undefined && deviceIds[index] === undefined;
    const mayDoWithout =
      source?.element === undefined ? idsOf(devices, source).length === 0 : source.element.deviceId !== undefined;
    return isShort && !mayDoWithout ? [{ source, index }] : [];
  });
  const byResource = Map.groupBy(without, ({ source }) => source.resourceName ?? "");
  return { deviceIds, shortages: [...byResource].map(([name, short]) => shortage(name, short, sources, devices)) };
}

function idsOf(devices: PodDevices, source: NetworkSource | undefined): readonly string[] {
  return source?.resourceName === undefined ? [] : (devices.get(source.resourceName) ?? []);
}

function shortage(
  resource: string,
  short: readonly { readonly source: NetworkSource; readonly index: number }[],
  sources: readonly (NetworkSource | undefined)[],
  devices: PodDevices,
): DeviceShortage {
  const users = sources.flatMap((source) => (source?.resourceName === resource ? [source.name] : []));
  const ids = devices.get(resource) ?? [];
  const need =
    users.length === 1
      ? `network ${users[0]} needs a device`
      : `networks ${users.join(", ")} need ${users.length} devices`;
  const has = ids.length === 0 ? "none" : `${ids.length} (${ids.join(", ")})`;
  return {
    networks: short.map(({ index }) => index),
    error: new DispatchError(
      "NotEnoughDevices",
      `${need} of resource ${resource}, and kubelet has assigned the pod ${has}`,
      {
        details: `the pod must request as many: resources.limits {${JSON.stringify(resource)}: "${users.length}"} in one of its containers, or a claim of that name`,
      },
    ),
  };
}
