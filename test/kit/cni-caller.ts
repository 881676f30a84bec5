// Calls a CNI executable as a container runtime does: an environment made for it, the config on standard input, a deadline.
import { join } from "node:path";
import { inNetns } from "./command.ts";
import type { NodeNetns } from "./node-netns.ts";
import { searchPath } from "./packages.ts";

/** Folder with one link per plugin name to our compiled executable. */
export const polynicBin = join(import.meta.dirname, "..", "..", "dist", "bin");

/** Below the time limit of a test, so that what hangs is named. */
const defaultDeadlineMs = 120_000;

export interface CniCall {
  /** Full path of the executable. */
  readonly executable: string;
  /** CNI_COMMAND; undefined for a program that takes the verb as an argument. */
  readonly command?: string;
  /** Command line arguments: CNI plugins take none, cnitool and our own verbs do. */
  readonly argv?: readonly string[];
  /** The config; a string is sent as it is, so that it may be broken on purpose. */
  readonly config?: object | string;
  readonly containerId?: string;
  /** CNI_NETNS: the path of the pod's namespace. */
  readonly netns?: string;
  readonly ifName?: string;
  /** CNI_ARGS, `K=V;K=V`. */
  readonly args?: string;
  /** CNI_PATH; the folder of the executable otherwise. */
  readonly path?: string;
  /** Further variables; one that is undefined takes a variable away that would be set otherwise. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The node whose network namespace the call runs in; the caller's own otherwise. */
  readonly node?: NodeNetns;
  /** Working directory; the caller's own otherwise. */
  readonly cwd?: string;
  readonly deadlineMs?: number;
  /** A command to run the executable under, such as strace with its options. */
  readonly wrapper?: readonly string[];
  /** Gets the process id of the executable, or of its wrapper. */
  readonly onStart?: (pid: number) => void;
}

export interface CniOutcome {
  /** 0 is success; undefined when a signal ended it. */
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** Standard output as JSON; undefined when it is empty or is not JSON (see `stdout`). */
  readonly result: unknown;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
  /** Processor time of the process and of the children that it waited for. */
  readonly cpuMs: number;
  /** True when the deadline passed and the whole process group was killed. */
  readonly isTimedOut: boolean;
}

/** Makes one call and waits for its end. A failing plugin is an outcome, not an exception. */
export async function callCni(call: CniCall): Promise<CniOutcome> {
  const began = performance.now();
  const child = Bun.spawn(inNetns(call.node?.path, [...(call.wrapper ?? []), call.executable, ...(call.argv ?? [])]), {
    stdin: new TextEncoder().encode(inputOf(call)),
    stdout: "pipe",
    stderr: "pipe",
    env: environmentOf(call),
    ...(call.cwd === undefined ? {} : { cwd: call.cwd }),
    // A session of its own makes a process group of its own: the deadline ends delegates too.
    detached: true,
  });
  call.onStart?.(child.pid);
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    killGroup(child.pid);
  }, call.deadlineMs ?? defaultDeadlineMs);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  clearTimeout(timer);
  return {
    exitCode: child.exitCode ?? undefined,
    signal: child.signalCode === null ? undefined : String(child.signalCode),
    result: parsed(stdout),
    stdout,
    stderr,
    durationMs: performance.now() - began,
    cpuMs: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1000,
    isTimedOut,
  };
}

/** As `callCni`; throws with what the plugin said unless it succeeded. */
export async function mustCallCni(call: CniCall): Promise<CniOutcome> {
  const outcome = await callCni(call);
  if (outcome.exitCode === 0) return outcome;
  const ending = outcome.isTimedOut ? "the deadline" : (outcome.signal ?? `code ${outcome.exitCode}`);
  throw new Error(
    `${call.executable} ${call.command ?? call.argv?.join(" ")} ended with ${ending}: ${outcome.stdout}${outcome.stderr}`,
  );
}

function inputOf(call: CniCall): string {
  if (call.config === undefined) return "";
  return typeof call.config === "string" ? call.config : JSON.stringify(call.config);
}

function environmentOf(call: CniCall): Record<string, string> {
  const folder = call.executable.slice(0, call.executable.lastIndexOf("/"));
  const all: Record<string, string | undefined> = {
    PATH: searchPath,
    CNI_COMMAND: call.command,
    CNI_CONTAINERID: call.containerId,
    CNI_NETNS: call.netns,
    CNI_IFNAME: call.ifName,
    CNI_ARGS: call.args,
    CNI_PATH: call.path ?? folder,
    ...call.env,
  };
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Ended by itself just now.
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
