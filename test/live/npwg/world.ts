// What the rows of the specification's table share: pods of which every call is written down, and the rule's own shape.
import { expect } from "vitest";
import type { CniOutcome } from "../../kit/cni-caller.ts";
import { errorOf, type Json, type MultusSite } from "../../kit/multus-site.ts";
import { type RecordedCall, Recorder } from "../../kit/recorder.ts";

export interface Rule {
  readonly rule: string;
  readonly says: string;
  readonly holds: (here: MultusSite) => Promise<void> | void;
}

export const version = { cniVersion: "1.0.0" };

/** A default network that only writes down how it is called. */
export const main = { delegates: [{ ...version, name: "main", type: "recorder" }] };

export interface Added {
  readonly outcome: CniOutcome;
  /** The recording plugin's calls: those of the ADD, and those of the DEL that follows. */
  readonly adds: readonly RecordedCall[];
  readonly dels: readonly RecordedCall[];
  readonly status: Json[];
  readonly events: readonly string[];
}

/** Adds a pod with these networks and deletes it; nothing may be left. */
export async function added(
  here: MultusSite,
  networks: unknown,
  conf: Json = {},
  more: Record<string, string> = {},
  namespace = "default",
): Promise<Added> {
  const recorder = new Recorder(here);
  const pod = here.pod(networks, more, namespace);
  const before = here.kernel(pod);
  const outcome = await here.call("ADD", pod, { conf: { ...main, ...conf } });
  const adds = recorder.take().filter(({ command }) => command === "ADD");
  const [status, events] = [here.status(pod) ?? [], here.events(pod)];
  await here.call("DEL", pod, { conf: { ...main, ...conf } });
  expect(here.remains(before, pod)).toEqual([]);
  return { outcome, adds, dels: recorder.take(), status, events };
}

/** A network of the recording plugin. */
export function recorded(here: MultusSite, name: string, config: Json = {}, namespace = "default"): void {
  here.network(name, { ...version, type: "recorder", ...config }, namespace);
}

export const interfaces = ({ adds }: Added): string[] => adds.map(({ ifName }) => ifName);
export const names = ({ adds }: Added): unknown[] => adds.map(({ config }) => config["name"]);

/** The ADD is refused with these words, under that event, before any plugin is called. */
export function expectRefusal(
  { outcome, adds, events }: Added,
  words: string,
  reason = "InvalidNetworkSelection",
): void {
  expect(errorOf(outcome).msg).toContain(words);
  expect(adds).toEqual([]);
  expect(events).toEqual([expect.stringMatching(new RegExp(`^Warning ${reason} `))]);
}
