import { integer, optional, struct, text } from "../json/struct.ts";
import type { JsonObject } from "../json/value.ts";
import type { KubeClient } from "../kube/client.ts";
import { isAlreadyExists, isConflict, isForbidden, isNotFound } from "../kube/error.ts";
import { events } from "../kube/resource.ts";
import type { Pod, PodEvent } from "./port.ts";

/** The name under which Multus' events are found and filtered. */
const multus = "multus";
/** What events.k8s.io/v1 allows in a note; the runtime's own event has the whole text. */
const longestMessage = 1024;
const longestName = 253;
const hashLength = 16;
const countAttempts = 5;
/** An event is worth less waiting than the pod's network: a server may keep events in a store of their own, and that may be down alone. */
const longestWaitMs = 3000;

const eventSchema = struct({
  metadata: struct({ resourceVersion: optional(text(), "") }),
  count: optional(integer(), 1),
});

/**
 * Stores an event about a pod (core/v1). Its name follows from what it says, so the same one again is not another object: its count goes
 * up where the credentials may patch events; where they may only create them it stays as it is until the server forgets it (an hour
 * later, usually). `component` is who reports it. Throws `KubeError`.
 */
export async function deliverEvent(
  client: KubeClient,
  pod: Pod,
  event: PodEvent,
  component: string = multus,
): Promise<void> {
  const name = eventName(pod, event);
  const target = { verb: "create", resource: events, namespace: pod.namespace } as const;
  try {
    const limit = { atMostMs: longestWaitMs };
    await client.request(target, eventSchema, { ...limit, body: eventObject(name, pod, event, component) });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    // The answer to an earlier attempt was lost: it was this very event that was created then.
    if (!error.wasRepeated) await countUp(client, pod.namespace, name);
  }
}

/** Reading is not needed for it: a patch answers with the whole object. Another node never counts the same event, but this one's next ADD may. */
async function countUp(client: KubeClient, namespace: string, name: string): Promise<void> {
  const target = { verb: "patch", resource: events, namespace, name } as const;
  const options = { contentType: "application/merge-patch+json", atMostMs: longestWaitMs };
  try {
    const lastTimestamp = now();
    let { metadata, count } = await client.request(target, eventSchema, { ...options, body: { lastTimestamp } });
    for (let attempt = 1; ; attempt++) {
      const { resourceVersion } = metadata;
      try {
        await client.request(target, eventSchema, {
          ...options,
          body: { metadata: { resourceVersion }, count: count + 1 },
        });
        return;
      } catch (error) {
        if (!isConflict(error) || attempt === countAttempts) throw error;
        ({ metadata, count } = await client.request(target, eventSchema, { ...options, body: { lastTimestamp } }));
      }
    }
  } catch (error) {
    // It is there to be read, which is what matters; or it has just been forgotten, and the next failure makes it anew.
    if (!isForbidden(error) && !isNotFound(error)) throw error;
  }
}

function eventObject(name: string, pod: Pod, { type, reason, message }: PodEvent, component: string): JsonObject {
  const time = now();
  const host = pod.nodeName ?? "";
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name, namespace: pod.namespace },
    involvedObject: { apiVersion: "v1", kind: "Pod", namespace: pod.namespace, name: pod.name, uid: pod.uid },
    type,
    reason,
    message: message.length > longestMessage ? `${message.slice(0, longestMessage - 1)}…` : message,
    source: { component, ...(host === "" ? {} : { host }) },
    reportingComponent: component,
    reportingInstance: host,
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
}

/** "<pod>.<hash>", as client-go names events, with a hash of what it says in place of the time. */
function eventName({ name, uid }: Pod, { type, reason, message }: PodEvent): string {
  const hash = new Bun.CryptoHasher("sha256").update([uid, type, reason, message].join("\0")).digest("hex");
  return `${name.slice(0, longestName - hashLength - 1).replace(/[-.]+$/, "")}.${hash.slice(0, hashLength)}`;
}

/** metav1.Time has whole seconds. */
function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}
