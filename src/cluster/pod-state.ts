import {
  makeDirectories,
  readTextIfExists,
  replaceFile,
  statusIfExists,
  temporaryOf,
  unlinkIfExists,
} from "../libc/file.ts";
import { lock } from "./lock.ts";
import { isObject } from "./manifest-folder.ts";
import { ClusterError, type PodEvent } from "./port.ts";

/** An event as it is kept: the same one again only counts up. */
export interface KeptEvent extends PodEvent {
  readonly count: number;
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
}

/** What is written about one pod: everything that an API server would keep in the object's metadata and its events. */
export interface PodState {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly events: readonly KeptEvent[];
}

/** Older events of a pod are dropped beyond this number. */
export const eventsPerPod = 50;

/** The state in a file; undefined when there is none, or an empty one (a writer died between creating and writing it). */
export function readState(path: string): PodState | undefined {
  const text = readTextIfExists(path);
  return text === undefined || text.trim() === "" ? undefined : decodeState(text, path);
}

/** Replaces the state in a file by what `change` makes of it, under the file's lock; missing directories are made. */
export function updateState(path: string, change: (current: PodState | undefined) => PodState): void {
  makeDirectories(path.replace(/\/[^/]+$/, ""), 0o755);
  using _lock = lock(path);
  // Without a sync: a power cut ends the pods too, and what it leaves of the file is as good as none.
  replaceFile(path, encodeState(change(readState(path))), 0o644, temporaryOf(path), false);
}

/** Removes a state file; false when there was none. */
export function removeState(path: string): boolean {
  if (statusIfExists(path) === undefined) return false;
  using _lock = lock(path);
  unlinkIfExists(temporaryOf(path));
  return unlinkIfExists(path);
}

/** Adds events to those kept: equal ones count up and move to the end, the oldest fall out beyond `eventsPerPod`. */
export function mergeEvents(kept: readonly KeptEvent[], added: readonly PodEvent[], now: string): readonly KeptEvent[] {
  const byText = new Map<string, KeptEvent>();
  for (const event of kept) byText.set(textOf(event), event);
  for (const event of added) {
    const known = byText.get(textOf(event));
    byText.delete(textOf(event));
    byText.set(textOf(event), {
      type: event.type,
      reason: event.reason,
      message: event.message,
      count: (known?.count ?? 0) + 1,
      firstTimestamp: known?.firstTimestamp ?? now,
      lastTimestamp: now,
    });
  }
  const merged: KeptEvent[] = [];
  for (const event of byText.values()) merged.push(event);
  return merged.slice(-eventsPerPod);
}

function textOf({ type, reason, message }: PodEvent): string {
  return `${type} ${reason} ${message}`;
}

/** A pod's state as YAML that a person can read: a status of several lines stays several lines. */
export function encodeState({ namespace, name, uid, annotations, events }: PodState): string {
  const head = { apiVersion: "v1", kind: "Pod", metadata: { namespace, name, uid } };
  const parts = [Bun.YAML.stringify(head, null, 2)];
  const keys = Object.keys(annotations);
  if (keys.length > 0) parts.push("  annotations:");
  for (const key of keys) parts.push(annotation(key, annotations[key] ?? ""));
  if (events.length > 0) parts.push(Bun.YAML.stringify({ events }, null, 2));
  return `${parts.join("\n")}\n`;
}

/** Text that a YAML literal block gives back unchanged: printable, does not begin with a blank or end with a line break. */
const fitsBlock = /^[!-~][\n -~]*[!-~]$/;

function annotation(key: string, value: string): string {
  const line = `    ${JSON.stringify(key)}:`;
  if (!value.includes("\n") || !fitsBlock.test(value)) return `${line} ${JSON.stringify(value)}`;
  let block = `${line} |-`;
  for (const text of value.split("\n")) block += text === "" ? "\n" : `\n      ${text}`;
  return block;
}

/** The inverse of `encodeState`; "invalid" when the file holds something else (someone edited it). */
export function decodeState(text: string, path: string): PodState {
  try {
    const value = Bun.YAML.parse(text);
    if (isObject(value) && isObject(value["metadata"])) {
      const { namespace, name, uid, annotations = {} } = value["metadata"];
      const { events = [] } = value;
      if (
        typeof namespace === "string" &&
        typeof name === "string" &&
        typeof uid === "string" &&
        areAnnotations(annotations) &&
        areKeptEvents(events)
      )
        return { namespace, name, uid, annotations, events };
    }
  } catch (cause) {
    throw damaged(path, cause);
  }
  throw damaged(path, undefined);
}

function areAnnotations(value: unknown): value is Readonly<Record<string, string>> {
  if (!isObject(value)) return false;
  for (const key of Object.keys(value)) if (typeof value[key] !== "string") return false;
  return true;
}

function areKeptEvents(value: unknown): value is readonly KeptEvent[] {
  if (!Array.isArray(value)) return false;
  for (const event of value as readonly unknown[]) if (!isKeptEvent(event)) return false;
  return true;
}

function isKeptEvent(value: unknown): value is KeptEvent {
  return (
    isObject(value) &&
    (value["type"] === "Normal" || value["type"] === "Warning") &&
    typeof value["reason"] === "string" &&
    typeof value["message"] === "string" &&
    typeof value["count"] === "number" &&
    typeof value["firstTimestamp"] === "string" &&
    typeof value["lastTimestamp"] === "string"
  );
}

function damaged(path: string, cause: unknown): ClusterError {
  return new ClusterError(
    "invalid",
    `read ${path}`,
    "this is not a pod's state as polynic writes it",
    "remove the file",
    {
      cause,
    },
  );
}
