import type { Schema } from "../json/struct.ts";
import type { KubeClient } from "../kube/client.ts";
import { isExpired, isUnavailable, KubeError } from "../kube/error.ts";
import { list } from "../kube/list.ts";
import { pause } from "../libc/pause.ts";
import type { Resource } from "../kube/resource.ts";
import { backoffMs } from "../kube/retry.ts";
import { watch } from "../kube/watch.ts";
import type { Logger } from "../log/logger.ts";

export interface FollowOptions<T> {
  /** All namespaces when absent. */
  readonly namespace?: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** All objects there are; called first, and again whenever changes may have been missed. */
  readonly onList: (objects: readonly T[]) => void;
  readonly onChange: (type: "ADDED" | "MODIFIED" | "DELETED", object: T) => void;
}

const longestDelayMs = 10_000;

/**
 * Tells of every object of a kind, and of everything that becomes of them, until the signal is aborted. A server that can't be reached is waited
 * for. Rejects with a `KubeError` that waiting does not cure (missing rights, no such kind), and with what the callbacks throw.
 */
export async function follow<T>(
  client: KubeClient,
  resource: Resource,
  schema: Schema<T>,
  { namespace, signal, log, onList, onChange }: FollowOptions<T>,
): Promise<void> {
  const scope = namespace === undefined ? {} : { namespace };
  for (let failures = 0; !signal.aborted;) {
    try {
      const { items, resourceVersion } = await list(client, resource, schema, scope);
      failures = 0;
      // Aborted while the list was on its way: whoever asked for it has gone.
      if (signal.aborted) return;
      onList(items);
      for await (const { type, object } of watch(client, resource, schema, { ...scope, resourceVersion, signal }))
        onChange(type, object);
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      if (isExpired(error)) continue;
      if (!isUnavailable(error)) throw error;
      if (signal.aborted) return;
      failures++;
      log.verbose(`${error.message}; listing again`);
      await pause(backoffMs(failures, longestDelayMs), signal);
    }
  }
}
