import { array, mapOf, integer, optional, struct, text } from "../json/struct.ts";
import type { KubeClient } from "../kube/client.ts";
import { list } from "../kube/list.ts";
import { isObjectName, resourceClaims, resourceSlices } from "../kube/resource.ts";
import { DeviceList, type PodDevices } from "./kubelet/device-list.ts";
import type { Pod, PodClaim } from "./port.ts";

/** Attributes by which a driver offers a device to networks: what a plugin knows it by, and the resource that networks ask for. */
const deviceIdAttribute = "k8s.cni.cncf.io/deviceID";
const resourceNameAttribute = "k8s.cni.cncf.io/resourceName";

const claimSchema = struct({
  status: optional(
    struct({
      allocation: optional(
        struct({
          devices: optional(
            struct({
              results: optional(
                array(struct({ request: optional(text(), ""), driver: text(), pool: text(), device: text() })),
                [],
              ),
            }),
            {},
          ),
        }),
        {},
      ),
    }),
    {},
  ),
});

/** Attributes of other types than text have other members. */
const attributeSchema = struct({ string: optional(text(), "") });

const sliceSchema = struct({
  spec: struct({
    pool: struct({ name: text(), generation: optional(integer(), 0) }),
    devices: optional(array(struct({ name: text(), attributes: optional(mapOf(attributeSchema), {}) })), []),
  }),
});

/** A device that was allocated to a claim (resource.k8s.io/v1, DeviceRequestAllocationResult). */
interface Allocated {
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  /** The resource that its request stands for; undefined when the device itself says so. */
  readonly resource: string | undefined;
}

/** What a driver has published of a device. */
interface Published {
  readonly id: string;
  readonly resource: string;
}

/**
 * The devices of a pod's claims by the resource that they are published under, in the order of the claims and of their allocation: one GET for
 * each claim, one LIST of ResourceSlices for each driver. A device without both attributes is none for networks (a GPU in the same claim) and
 * left out; a claim that is not allocated has none. Throws `KubeError`.
 */
export async function claimedDevices(client: KubeClient, pod: Pod): Promise<PodDevices> {
  const allocated = (await Promise.all((pod.claims ?? []).map((claim) => allocationOf(client, pod, claim)))).flat();
  const published = new Map<string, Published>();
  const drivers = [...new Set(allocated.map(({ driver }) => driver))];
  await Promise.all(drivers.map((driver) => addPublished(client, pod, driver, published)));
  const devices = new DeviceList();
  for (const { driver, pool, device, resource } of allocated) {
    const found = published.get(keyOf(driver, pool, device));
    const name = resource ?? found?.resource ?? "";
    if (found !== undefined && name !== "") devices.add(name, [found.id]);
  }
  return devices.byResource;
}

async function allocationOf(
  client: KubeClient,
  { namespace }: Pod,
  { name, resources }: PodClaim,
): Promise<Allocated[]> {
  if (!isObjectName(name)) return [];
  const target = { verb: "get", resource: resourceClaims, namespace, name } as const;
  const { status } = await client.request(target, claimSchema);
  return status.allocation.devices.results.map(({ request, ...rest }) => ({
    ...rest,
    resource: resources.get(request),
  }));
}

/** Of a pool that is being published anew the newest generation counts. */
async function addPublished(
  client: KubeClient,
  { nodeName }: Pod,
  driver: string,
  published: Map<string, Published>,
): Promise<void> {
  const node = nodeName === undefined ? "" : `,spec.nodeName=${nodeName}`;
  const { items } = await list(client, resourceSlices, sliceSchema, { fieldSelector: `spec.driver=${driver}${node}` });
  const oldestFirst = items.toSorted((a, b) => a.spec.pool.generation - b.spec.pool.generation);
  for (const { pool, devices } of oldestFirst.map(({ spec }) => spec)) {
    for (const { name, attributes } of devices) {
      const id = attributes[deviceIdAttribute]?.string ?? "";
      const resource = attributes[resourceNameAttribute]?.string ?? "";
      if (id !== "") published.set(keyOf(driver, pool.name, name), { id, resource });
    }
  }
}

function keyOf(driver: string, pool: string, device: string): string {
  return `${driver}/${pool}/${device}`;
}
