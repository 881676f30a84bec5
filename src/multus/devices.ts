import type { PodDevices } from "../cluster/kubelet/device-list.ts";
import type { Cluster, Pod, PodIdentity } from "../cluster/port.ts";
import { CniError, code } from "../cni/error.ts";
import type { Logger } from "../log/logger.ts";
import { DispatchError } from "./dispatch-error.ts";
import type { NetworkSource } from "./attachment.ts";

/** The annotation of a NetworkAttachmentDefinition that names the resource whose devices its attachments are made of. */
export const resourceNameAnnotation = "k8s.v1.cni.cncf.io/resourceName";

/** Whose devices are asked for, and of whom. */
export interface DeviceQuestion {
  readonly kubeletDir: string;
  /** The networks that may need devices; undefined for one that was not found. */
  readonly sources: readonly (NetworkSource | undefined)[];
  readonly cluster: Cluster | undefined;
  readonly pod: Pod | undefined;
  readonly identity: PodIdentity | undefined;
  readonly log: Logger;
}

/**
 * The devices of the pod, asked once for all of its networks: what kubelet has assigned, and what its claims have been allocated (resource.k8s.io/v1)
 * of resources that kubelet knows nothing of. Undefined when none of the networks needs a device, or the call is for no pod. Throws
 * `DispatchError` code 11 when kubelet or the API server can't be asked: either may be starting.
 */
export async function podDevices(question: DeviceQuestion): Promise<PodDevices | undefined> {
  const { pod } = question;
  if (pod === undefined || resourcesOf(question).length === 0) return undefined;
  const assigned = (await askKubelet(question, pod)) ?? new Map<string, readonly string[]>();
  return new Map([...(await askForClaims(question, pod, assigned)), ...assigned]);
}

/** What can be found out of a pod's devices from anywhere. */
export interface KnownDevices {
  /** Undefined when no network needs a device, and when it is not known which ones the pod has. */
  readonly devices?: PodDevices;
  /** Why it is not known. */
  readonly problem?: string;
}

/** As `podDevices`, for those who only look, perhaps on another machine than the pod's node: what can't be found out is no failure. */
export async function knownDevices(question: DeviceQuestion): Promise<KnownDevices> {
  const { pod } = question;
  const resources = resourcesOf(question);
  if (pod === undefined || resources.length === 0) return {};
  try {
    const assigned = await askKubelet(question, pod).catch((error: unknown) => CniError.from(error));
    if (assigned !== undefined && !(assigned instanceof CniError))
      return { devices: new Map([...(await askForClaims(question, pod, assigned)), ...assigned]) };
    const claimed = await askForClaims(question, pod, new Map());
    if (resources.every((name) => claimed.has(name))) return { devices: claimed };
    const reason = assigned?.message ?? "kubelet of this machine does not know the pod";
    const where = pod.nodeName === undefined ? "" : `; ask on node ${pod.nodeName}`;
    return { problem: `which devices of ${resources.join(", ")} the pod has is not known here: ${reason}${where}` };
  } catch (error) {
    return { problem: CniError.from(error).message };
  }
}

function resourcesOf({ sources }: DeviceQuestion): string[] {
  const names: string[] = [];
  for (const source of sources) {
    const name = source?.resourceName;
    if (name !== undefined && !names.includes(name)) names.push(name);
  }
  return names;
}

async function askKubelet({ kubeletDir, identity, log }: DeviceQuestion, pod: Pod): Promise<PodDevices | undefined> {
  const { readPodDevices } = await import("../cluster/kubelet/pod-devices.ts");
  const { namespace, name } = pod;
  try {
    // The runtime passes on kubelet's own uid, which a static pod's mirror does not have.
    return await readPodDevices(kubeletDir, { namespace, name, uid: identity?.uid ?? pod.uid }, log);
  } catch (error) {
    throw notReadable(error);
  }
}

/**
 * Claims cost further requests, and rights that few clusters need to grant: only a pod that has some, for what kubelet does not know. A pod whose own
 * networks need nothing of that must not be kept waiting by a network that the node's config gives to every pod.
 */
async function askForClaims(question: DeviceQuestion, pod: Pod, assigned: PodDevices): Promise<PodDevices> {
  const lacking = question.sources.filter(
    (source) => source?.resourceName !== undefined && !assigned.has(source.resourceName),
  );
  if (question.cluster === undefined || pod.claims === undefined || lacking.length === 0) return new Map();
  try {
    return await question.cluster.claimedDevices(pod);
  } catch (error) {
    if (lacking.some((source) => source?.element !== undefined)) throw notReadable(error);
    question.log.error(`the pod's claims are passed over: ${CniError.from(error).text}`);
    return new Map();
  }
}

function notReadable(error: unknown): DispatchError {
  const { message } = CniError.from(error);
  return new DispatchError("DevicesNotReadable", message, { cause: error, code: code.tryAgainLater });
}

/** The device of each network, by its position; undefined, or nothing at all, for a network that gets none. */
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
  if (devices === undefined) return { deviceIds: [], shortages: [] };
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
        details: `the pod must request as many: resources.limits {${JSON.stringify(resource)}: "${users.length}"} in one of its containers, or have a claim of that name, or of devices whose attribute k8s.cni.cncf.io/resourceName says so`,
      },
    ),
  };
}
