import { anyObject, integer, optional, picklist, type Schema, struct, text } from "../json/struct.ts";
import type { KubeClient } from "./client.ts";
import { isUnavailable, KubeError } from "./error.ts";
import { type ListOptions, selectors } from "./list.ts";
import { pause } from "../libc/pause.ts";
import { describeTarget, type Resource, type Target } from "./resource.ts";
import { backoffMs } from "./retry.ts";

export interface WatchOptions extends Pick<ListOptions, "namespace" | "labelSelector" | "fieldSelector"> {
  /** That of the list which the changes follow. */
  readonly resourceVersion: string;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** How long the server may say nothing (it sends a bookmark about every minute) before the connection counts as dead. */
  readonly idleTimeoutMs?: number;
  /** How long the server is asked to keep one stream open. */
  readonly streamSeconds?: number;
}

export interface Change<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: T;
}

const defaultIdleTimeoutMs = 150_000;
const defaultStreamSeconds = 1500;
const longestDelayMs = 30_000;

const lineSchema = struct({
  type: picklist(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]),
  object: anyObject(),
});
const versionedSchema = struct({ metadata: struct({ resourceVersion: text() }) });
const statusSchema = struct({
  code: optional(integer(), 500),
  reason: optional(text(), ""),
  message: optional(text(), ""),
});

/**
 * The changes of a kind of objects since a list, as they happen, each decoded by `schema`. When the stream ends, breaks or falls silent it
 * is opened again where it was, however long that takes; bookmarks keep that place young while nothing changes. Ends when `signal` is
 * aborted. Throws `KubeError`: "Expired" (`isExpired`) when the server no longer knows the place, and then a new list is needed;
 * anything else that waiting does not cure.
 */
export async function* watch<T>(
  client: KubeClient,
  resource: Resource,
  schema: Schema<T>,
  options: WatchOptions,
): AsyncGenerator<Change<T>, void, undefined> {
  const { namespace, signal } = options;
  const target: Target = { verb: "watch", resource, ...(namespace === undefined ? {} : { namespace }) };
  let { resourceVersion } = options;
  for (let failures = 0; !signal.aborted;) {
    try {
      for await (const { type, object } of stream(client, target, options, resourceVersion)) {
        failures = 0;
        resourceVersion = client.decoded(target, versionedSchema, object).metadata.resourceVersion;
        if (type !== "BOOKMARK") yield { type, object: client.decoded(target, schema, object) };
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isUnavailable(error)) throw error;
    }
    // A server that ends every stream at once is no better than one that can't be reached.
    failures += 1;
    await pause(backoffMs(failures, longestDelayMs), signal);
  }
}

/** The lines of one stream, until it ends. */
async function* stream(
  client: KubeClient,
  target: Target,
  options: WatchOptions,
  resourceVersion: string,
): AsyncGenerator<{ type: Change<unknown>["type"] | "BOOKMARK"; object: object }, void, undefined> {
  const { streamSeconds = defaultStreamSeconds, idleTimeoutMs = defaultIdleTimeoutMs } = options;
  const query = {
    watch: "true",
    allowWatchBookmarks: "true",
    resourceVersion,
    timeoutSeconds: String(streamSeconds),
    ...selectors(options),
  };
  using idle = new IdleLimit(idleTimeoutMs);
  for await (const line of client.stream(target, query, AbortSignal.any([options.signal, idle.signal]))) {
    idle.restart();
    const { type, object } = client.decoded(target, lineSchema, parsed(target, line));
    if (type === "ERROR") {
      const { code, reason, message } = client.decoded(target, statusSchema, object);
      const status = { code, reason, objectName: "" };
      throw new KubeError("status", describeTarget(target), message || reason, { status });
    }
    yield { type, object };
  }
}

function parsed(target: Target, line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new KubeError("protocol", describeTarget(target), "the stream holds a line that is no JSON", { cause });
  }
}

/** Aborts its signal when nothing has restarted it for a while. */
class IdleLimit implements Disposable {
  readonly #controller = new AbortController();
  #timer: Timer | undefined;

  constructor(readonly limitMs: number) {
    this.restart();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(new DOMException("idle", "TimeoutError")), this.limitMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    // Also ends a stream that is left in the middle.
    this.#controller.abort();
  }
}
