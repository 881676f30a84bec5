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
  replaceFile(path, encodeState(change(readState(path))), 0o644, temporaryOf(path));
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
  const byText = new Map(kept.map((event) => [textOf(event), event]));
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
  return [...byText.values()].slice(-eventsPerPod);
}

function textOf({ type, reason, message }: PodEvent): string {
  return `${type} ${reason} ${message}`;
}

/** A pod's state as YAML that a person can read: a status of several lines stays several lines. */
export function encodeState({ namespace, name, uid, annotations, events }: PodState): string {
  const head = { apiVersion: "v1", kind: "Pod", metadata: { namespace, name, uid } };
  const parts = [Bun.YAML.stringify(head, null, 2)];
  const entries = Object.entries(annotations);
  if (entries.length > 0) parts.push("  annotations:", ...entries.map(([key, value]) => annotation(key, value)));
  if (events.length > 0) parts.push(Bun.YAML.stringify({ events }, null, 2));
  return `${parts.join("\n")}\n`;
}

/** Text that a YAML literal block gives back unchanged: printable, does not begin with a blank or end with a line break. */
const fitsBlock = /^[!-~][\n -~]*[!-~]$/;

function annotation(key: string, value: string): string {
  const line = `    ${JSON.stringify(key)}:`;
  if (!value.includes("\n") || !fitsBlock.test(value)) return `${line} ${JSON.stringify(value)}`;
  return [`${line} |-`, ...value.split("\n").map((text) => (text === "" ? "" : `      ${text}`))].join("\n");
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
        isObject(annotations) &&
        Object.values(annotations).every((entry) => typeof entry === "string") &&
        Array.isArray(events) &&
        events.every(isKeptEvent)
      )
        return { namespace, name, uid, annotations: annotations as Record<string, string>, events };
    }
  } catch (cause) {
    throw damaged(path, cause);
  }
  throw damaged(path, undefined);
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
