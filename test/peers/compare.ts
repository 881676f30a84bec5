// The same calls to a Go plugin and to ours, each on a fresh node: what they answer, what they make of the kernel, what they leave.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { callCni, type CniOutcome, polynicBin } from "../kit/cni-caller.ts";
import { diff, leftovers } from "../kit/diff.ts";
import { Lan, type NodeNetns, type PinnedNetns } from "../kit/node-netns.ts";
import { normalise } from "../kit/normalise.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { type Snapshot, snapshot, type SnapshotOptions, withoutProbing } from "../kit/snapshot.ts";
import { temporaryFolder } from "../kit/tmp.ts";

/** Where one run of a case takes place. */
export interface Site {
  /** A node with `eth0` on a LAN of its own. */
  readonly node: NodeNetns;
  /** A temporary folder for state such as host-local's dataDir; its files are compared too. */
  readonly folder: string;
  /** The pod of that number, made when first asked for. */
  pod(index?: number): PinnedNetns;
}

type Config = object | string | ((site: Site) => object | string);

export interface Step {
  readonly command: string;
  /** The CNI error code that the Go plugin answers with; success when undefined. It proves that the case tests what it means to. */
  readonly code?: number;
  /** Instead of the case's own. */
  readonly config?: Config;
  readonly pod?: number;
  readonly ifName?: string;
  readonly containerId?: string;
  readonly args?: string;
  /** CNI_NETNS instead of the pod's path, such as "" for a pod that is gone. */
  readonly netns?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A command to run the executable under. */
  readonly wrapper?: (site: Site) => readonly string[];
  /** False for a runtime that lost its cache. Otherwise CHECK and DEL get the result of the last ADD of that container and interface. */
  readonly hasPrevResult?: boolean;
  /** Changes something just before the call. */
  readonly before?: (site: Site) => void;
}

export interface ExpectedDifference {
  /** Matches the line of the difference. */
  readonly line: RegExp;
  /** Why ours differs on purpose. */
  readonly reason: string;
}

export interface Case {
  readonly name: string;
  /** Name of the executable on both sides; of a chain, that of the one it is about. */
  readonly plugin: string;
  /** With `plugins` it is a list, whose plugins are called as libcni calls them; an ADD that fails is not taken back. */
  readonly config: Config;
  /** ADD, CHECK, DEL and a second DEL when undefined. */
  readonly steps?: readonly Step[];
  readonly ifName?: string;
  readonly args?: string;
  /** Prepares the node: masters, bridges, addresses. */
  readonly setUp?: (site: Site) => void;
  /** In a guest, where each process is dear: no look at packet filters, none before the first step, and none after one that changes nothing. */
  readonly isThrifty?: boolean;
  /** MAC addresses chosen by the case: those differ from random ones in that they must come back. */
  readonly macs?: readonly string[];
  readonly expected?: readonly ExpectedDifference[];
}

export interface StepTrace {
  readonly command: string;
  readonly exitCode: number | undefined;
  readonly result: unknown;
  /** Standard output line by line: callers depend on the order of keys and the indentation. */
  readonly layout: readonly string[];
  /** The node's and the pods' kernel state, and the files in the site's folder by path, after the step. */
  readonly state: Readonly<Record<string, unknown>>;
}

export interface Trace {
  readonly steps: readonly StepTrace[];
  /** What is there after the last step and was not before the first; all that is there, of a case that is thrifty. */
  readonly leftovers: readonly string[];
}

export interface Comparison {
  readonly peer: Trace;
  readonly ours: Trace;
  /** What differs and was not expected to. */
  readonly differences: readonly string[];
  /** What was expected to differ and does not (any more). */
  readonly stale: readonly ExpectedDifference[];
}

const wholeLife: readonly Step[] = [{ command: "ADD" }, { command: "CHECK" }, { command: "DEL" }, { command: "DEL" }];

/** Runs the case on both sides. `common` holds differences that every case of a table has; `bin` is the folder of our executables. */
export async function compareCase(
  subject: Case,
  common: readonly ExpectedDifference[] = [],
  bin = polynicBin,
): Promise<Comparison> {
  const peer = await runPeer(subject);
  const ours = await runCase(subject, bin);
  const lines = differencesOf(peer, ours);
  const expected = [...(subject.expected ?? []), ...common];
  return {
    peer,
    ours,
    differences: lines.filter((line) => !expected.some((difference) => difference.line.test(line))),
    stale: (subject.expected ?? []).filter((difference) => !lines.some((line) => difference.line.test(line))),
  };
}

/** Runs the case on the Go side only. Throws when a step ends in another way than the case says: the case itself is wrong then. */
export async function runPeer(subject: Case): Promise<Trace> {
  const trace = await runCase(subject, peerTools().bin);
  for (const [index, step] of (subject.steps ?? wholeLife).entries()) {
    const result = trace.steps[index]?.result as { code?: number; msg?: string } | undefined;
    const code = trace.steps[index]?.exitCode === 0 ? undefined : (result?.code ?? -1);
    if (code === step.code) continue;
    const wish = step.code === undefined ? "success" : `code ${step.code}`;
    throw new Error(
      `step ${index + 1}, ${step.command}: expected ${wish} of the Go plugin, got ${JSON.stringify(result)}`,
    );
  }
  return trace;
}

/** The whole sequence with the executables of one folder, on a node made for it. */
async function runCase(subject: Case, bin: string): Promise<Trace> {
  using folder = temporaryFolder();
  using lan = new Lan();
  const pods: PinnedNetns[] = [];
  const node = lan.node();
  const pod = (index = 0) => (pods[index] ??= node.pod());
  const site: Site = { node, folder: folder.path, pod };
  pod(0);
  subject.setUp?.(site);
  const look: SnapshotOptions = { withFilters: subject.isThrifty !== true };
  const before = subject.isThrifty === true ? {} : stateOf(site, pods, look);
  let state: Readonly<Record<string, unknown>> = before;
  const results = new Map<string, unknown>();
  const steps: StepTrace[] = [];
  for (const step of subject.steps ?? wholeLife) {
    step.before?.(site);
    const outcome = await callStep(subject, step, site, bin, results);
    const isReading = subject.isThrifty === true && ["CHECK", "STATUS"].includes(step.command);
    state = isReading ? state : stateOf(site, pods, look);
    steps.push({
      command: step.command,
      exitCode: outcome.exitCode,
      result: outcome.result ?? outcome.stdout,
      layout: outcome.stdout.split("\n"),
      state,
    });
  }
  const names = {
    [folder.path]: "/folder",
    [node.path]: "/node",
    ...Object.fromEntries(pods.map((pod, index) => [pod.path, `/pod${index}`])),
  };
  const trace = { before, steps };
  const normal = normalise(trace, { names, ...(subject.macs === undefined ? {} : { macs: subject.macs }) });
  return { steps: normal.steps, leftovers: leftovers(normal.before, normal.steps.at(-1)?.state) };
}

async function callStep(
  subject: Case,
  step: Step,
  site: Site,
  bin: string,
  results: Map<string, unknown>,
): Promise<CniOutcome> {
  const containerId = step.containerId ?? `ctr${step.pod ?? 0}`;
  const ifName = step.ifName ?? subject.ifName ?? "net1";
  const args = step.args ?? subject.args;
  const attachment = `${containerId} ${ifName}`;
  const config = step.config ?? subject.config;
  const plain = typeof config === "function" ? config(site) : config;
  const isAfterAdd = ["CHECK", "DEL"].includes(step.command) && step.hasPrevResult !== false;
  const prevResult = isAfterAdd ? results.get(attachment) : undefined;
  const call = (name: string, config: object | string) =>
    callCni({
      executable: join(bin, name),
      command: step.command,
      config,
      containerId,
      ifName,
      netns: step.netns ?? site.pod(step.pod).path,
      node: site.node,
      ...(args === undefined ? {} : { args }),
      ...(step.env === undefined ? {} : { env: step.env }),
      ...(step.wrapper === undefined ? {} : { wrapper: step.wrapper(site) }),
    });
  const outcome = isList(plain)
    ? await callChain(plain, step.command, prevResult, call)
    : await call(subject.plugin, typeof plain === "string" ? plain : withResult(plain, prevResult));
  if (step.command === "ADD" && outcome.exitCode === 0) results.set(attachment, outcome.result);
  return outcome;
}

interface List {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly { readonly type: string }[];
}

function isList(config: object | string): config is List {
  return typeof config === "object" && "plugins" in config;
}

/** The last plugin's outcome, or that of the first that fails. */
async function callChain(
  { name, cniVersion, plugins }: List,
  command: string,
  prevResult: unknown,
  call: (name: string, config: object) => Promise<CniOutcome>,
): Promise<CniOutcome> {
  let outcome: CniOutcome | undefined;
  for (const plugin of command === "DEL" ? plugins.toReversed() : plugins) {
    const result: unknown = command === "ADD" ? outcome?.result : prevResult;
    outcome = await call(plugin.type, withResult({ ...plugin, name, cniVersion }, result));
    if (outcome.exitCode !== 0) break;
  }
  if (outcome === undefined) throw new Error(`the list ${name} has no plugins`);
  return outcome;
}

function withResult(config: object, prevResult: unknown): object {
  return prevResult === undefined ? config : { ...config, prevResult };
}

/** What there is to see from outside: the namespaces that still exist and the files. */
function stateOf(
  site: Site,
  pods: readonly PinnedNetns[],
  look: SnapshotOptions,
): Record<string, Snapshot | Record<string, string>> {
  // How far probing for duplicates is tells how fast the machine was; whether there is any, nodad tells.
  const settled = ({ path }: PinnedNetns) => withoutProbing(snapshot(path, look));
  const state: Record<string, Snapshot | Record<string, string>> = { node: settled(site.node) };
  for (const [index, pod] of pods.entries()) if (pod.exists()) state[`pod${index}`] = settled(pod);
  return { ...state, files: filesUnder(site.folder) };
}

/** Permissions and content by path. */
function filesUnder(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const mode = (statSync(path).mode & 0o7777).toString(8);
    files[relative(folder, path)] = entry.isFile() ? `${mode} ${JSON.stringify(readFileSync(path, "utf8"))}` : mode;
  }
  return files;
}

function differencesOf(peer: Trace, ours: Trace): string[] {
  return peer.steps.flatMap((step, index) => {
    const other = ours.steps[index];
    const place = `${index + 1} ${step.command}`;
    const of = (a: unknown, b: unknown, part: string) =>
      diff(a, b, ["peer", "ours"]).map((line) =>
        line.startsWith(":") ? `${place} ${part}${line}` : `${place} ${part} / ${line}`,
      );
    const answers = of(answerOf(step), answerOf(other, step), "answer");
    // The layout is worth a line of its own only where the content is the same.
    const layout = answers.length === 0 && step.exitCode === 0 ? of(step.layout, other?.layout, "layout") : [];
    return [...answers, ...layout, ...of(step.state, other?.state, "state")];
  });
}

/**
 * Exit code and result; of an error its code and message. Ours may say more than the Go plugin does, as long as it begins with the
 * same words, which is what callers match on; `details` are free.
 */
function answerOf(step: StepTrace | undefined, model?: StepTrace): unknown {
  if (step === undefined || step.exitCode === 0) return { exitCode: step?.exitCode, result: step?.result };
  const { code, msg } = step.result as { code?: number; msg?: string };
  const words = (model?.result as { msg?: string } | undefined)?.msg;
  return { exitCode: step.exitCode, code, msg: words !== undefined && msg?.startsWith(words) ? words : msg };
}
