// What the rows share: a pod that is added and deleted on the API server, and everything that its plugins, its status and its events say.
import { expect } from "vitest";
import type { ApiSite } from "../../kit/api-site.ts";
import type { CniOutcome } from "../../kit/cni-caller.ts";
import { errorOf, type Json, type SitePod } from "../../kit/multus-site.ts";
import { type RecordedCall, Recorder } from "../../kit/recorder.ts";

export interface Theme {
  /** Of which of Multus' suites. */
  readonly suite: "e2e" | "multus" | "k8sclient" | "types" | "netutils" | "kubeletclient" | "checkpoint" | "logging";
  readonly theme: string;
  readonly holds: (here: ApiSite) => Promise<void>;
}

export interface Wish {
  readonly conf?: Json;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly args?: (pod: SitePod) => string;
  /** What the recording plugin answers an ADD with. */
  readonly result?: Json;
  /** Looks at the pod while it is attached. */
  readonly look?: (pod: SitePod) => Promise<void> | void;
}

export interface Added {
  readonly outcome: CniOutcome;
  readonly pod: SitePod;
  readonly adds: readonly RecordedCall[];
  readonly dels: readonly RecordedCall[];
  /** Empty without the annotation. */
  readonly status: readonly Json[];
  readonly events: readonly string[];
}

export const version = { cniVersion: "1.0.0" };

/** A default network that only writes down how it is called. */
export const main: Json = { delegates: [{ ...version, name: "main", type: "recorder" }] };

/** Adds a pod with these networks, and deletes it by two DELs; nothing may be left. */
export async function added(here: ApiSite, networks: unknown, wish: Wish = {}): Promise<Added> {
  const recorder = new Recorder(here.local, "recorder", wish.result);
  recorder.take();
  const pod = await here.pod(networks, wish.annotations);
  const before = here.local.kernel(pod);
  const over = { conf: { ...main, ...wish.conf }, ...(wish.args === undefined ? {} : { args: wish.args(pod) }) };
  const outcome = await here.call("ADD", pod, over);
  const adds = recorder.take().filter(({ command }) => command === "ADD");
  if (outcome.exitCode === 0) await wish.look?.(pod);
  const [status, events] = [(await here.status(pod)) ?? [], await here.events(pod)];
  for (let time = 0; time < 2; time++) expect(await here.call("DEL", pod, over)).toMatchObject({ exitCode: 0 });
  expect(here.local.remains(before, pod)).toEqual([]);
  return { outcome, pod, adds, dels: recorder.take(), status, events };
}

/** As `added`, of a pod that must be attached. */
export async function attached(here: ApiSite, networks: unknown, wish: Wish = {}): Promise<Added> {
  const all = await added(here, networks, wish);
  expect(all.outcome).toMatchObject({ exitCode: 0 });
  return all;
}

/** As `added`, of a pod that must be refused; what is said of it. */
export async function refusal(here: ApiSite, networks: unknown, wish: Wish = {}): Promise<string> {
  const { outcome, status } = await added(here, networks, wish);
  const { msg, details = "" } = errorOf(outcome);
  expect(status).toEqual([]);
  expect(msg).not.toContain("\n");
  return `${msg}; ${details}`;
}

let count = 0;

/** A network of the recording plugin, under a name of its own unless one is given. */
export async function recorded(here: ApiSite, config: Json = {}, name = `net-${count++}`): Promise<string> {
  await here.network(name, { ...version, type: "recorder", ...config });
  return name;
}

export const interfaces = ({ adds }: Added): string[] => adds.map(({ ifName }) => ifName);
export const names = ({ adds }: Added): unknown[] => adds.map(({ config }) => config["name"]);
