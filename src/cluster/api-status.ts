import { anyObject } from "../json/struct.ts";
import { isJsonObject, type JsonObject } from "../json/value.ts";
import type { KubeClient } from "../kube/client.ts";
import { isConflict, isForbidden, isInvalidField, type KubeError } from "../kube/error.ts";
import { pods } from "../kube/resource.ts";
import { ClusterError, networkStatusKey, type Pod } from "./port.ts";

const writeAttempts = 5;
/** The pod itself is not wanted back, only that it went well. */
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/**
 * Writes the network-status, or removes it for undefined, by a merge patch of that one annotation, for the pod of that uid only: nobody
 * else's change can be in conflict with it. Where the credentials may not patch but update, as Multus' own role has it, the whole pod is written back. Throws
 * `KubeError`, or a `ClusterError` "conflict".
 */
export async function writeStatus(client: KubeClient, pod: Pod, value: string | undefined): Promise<void> {
  const { namespace, name, uid } = pod;
  try {
    await client.request({ verb: "patch", resource: pods, subresource: "status", namespace, name }, anyObject(), {
      body: { metadata: { uid, annotations: { [networkStatusKey]: value ?? null } } },
      contentType: "application/merge-patch+json",
      accept: metadataOnly,
    });
  } catch (error) {
    // The uid is no precondition of a patch but a change that is refused.
    if (isInvalidField(error, "metadata.uid")) throw replaced(pod, error);
    if (!isForbidden(error)) throw error;
    await replaceWhole(client, pod, value, error);
  }
}

/** GET and PUT until nobody else has written in between. Throws `refusal` when updating is forbidden too: its cure is the better one. */
async function replaceWhole(
  client: KubeClient,
  pod: Pod,
  value: string | undefined,
  refusal: KubeError,
): Promise<void> {
  const { namespace, name } = pod;
  for (let attempt = 1; ; attempt++) {
    const current = await client.request({ verb: "get", resource: pods, namespace, name }, anyObject());
    const body = withStatus(current, pod, value);
    try {
      await client.request({ verb: "update", resource: pods, subresource: "status", namespace, name }, anyObject(), {
        body,
        accept: metadataOnly,
      });
      return;
    } catch (error) {
      if (isForbidden(error)) throw refusal;
      if (!isConflict(error) || attempt === writeAttempts) throw error;
    }
  }
}

function withStatus(current: JsonObject, pod: Pod, value: string | undefined): JsonObject {
  const metadata = objectAt(current, "metadata");
  if (metadata["uid"] !== pod.uid) throw replaced(pod);
  const { [networkStatusKey]: _, ...others } = objectAt(metadata, "annotations");
  const annotations = value === undefined ? others : { ...others, [networkStatusKey]: value };
  return { ...current, metadata: { ...metadata, annotations } };
}

function objectAt(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isJsonObject(value) ? value : {};
}

function replaced({ namespace, name, uid }: Pod, cause?: unknown): ClusterError {
  return new ClusterError(
    "conflict",
    `set network-status of pod ${namespace}/${name}`,
    `the pod was replaced: its uid is ${uid} no more`,
    "",
    { cause },
  );
}
