// Kills a call in the middle, at a system call of our choice: strace(1) delivers the signal when the call is entered, so the product
// needs no code for it and the release build is what is tested.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type CniCall, type CniOutcome, callCni } from "./cni-caller.ts";
import { temporaryFolder } from "./tmp.ts";

/**
 * The system calls by which an executable of ours changes the world: netlink messages, files, mounts. A "?" lets a name pass that an
 * architecture lacks (arm64 has no rename(2)).
 */
export const changingCalls: readonly string[] = [
  "sendto",
  "sendmsg",
  "write",
  "fdatasync",
  "?rename",
  "?renameat",
  "?renameat2",
  "?link",
  "linkat",
  "?symlink",
  "?unlink",
  "unlinkat",
  "?mkdir",
  "mkdirat",
  "?rmdir",
  "mount",
  "umount2",
];

export interface Fault {
  /** Name of the system call, as strace spells it. */
  readonly systemCall: string;
  /** 1 for the first such call of the main thread. */
  readonly occurrence: number;
  /** The errno name that the call fails with, without being carried out; a kill at its entry when undefined. */
  readonly errno?: string;
  /** The first of any thread to make that many meets it: Go moves what it runs from thread to thread. */
  readonly isOfAnyThread?: boolean;
}

export interface FaultOutcome extends CniOutcome {
  /** The system calls made, as strace printed them; the last one is where a kill struck. */
  readonly trace: readonly string[];
}

/** Makes a CNI call that meets one fault. Only the main thread is followed unless the fault says otherwise: helper threads and delegates run on as they would. */
export async function callWithFault(call: CniCall, fault: Fault): Promise<FaultOutcome> {
  const action = fault.errno === undefined ? "signal=KILL" : `error=${fault.errno}`;
  return await traced(
    call,
    [fault.systemCall],
    [
      ...(fault.isOfAnyThread === true ? ["-f"] : []),
      "-e",
      `inject=${fault.systemCall}:${action}:when=${fault.occurrence}`,
    ],
  );
}

/** How often an undisturbed call makes each of the given system calls; those it never makes are missing. */
export async function countSystemCalls(call: CniCall, systemCalls: readonly string[]): Promise<Map<string, number>> {
  const outcome = await traced(call, systemCalls, []);
  if (outcome.exitCode !== 0) throw new Error(`the undisturbed call failed: ${outcome.stdout}${outcome.stderr}`);
  const counts = new Map<string, number>();
  for (const line of outcome.trace) {
    const name = /^(\w+)\(/.exec(line)?.[1];
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/**
 * First makes the call undisturbed, then once more for each occurrence of each system call, killed there, until a run comes to its end: how often
 * the runtime wakes its threads, or the kernel is asked whether it is through with something, is chance. `prepare` makes the state that every run
 * starts from (the first too) and returns the call; it is told whether there is something to take away first, which is what a run left that came
 * to its end. `onKilled` looks at what a killed run has left, and cleans up.
 * Returns how many runs were killed. Throws when they are less than half of what the undisturbed run gave reason to expect: such a sweep would prove
 * nothing.
 */
export async function killAtEverySystemCall(
  prepare: (isSomethingLeft: boolean) => CniCall | Promise<CniCall>,
  onKilled: (fault: Fault, outcome: FaultOutcome) => void | Promise<void>,
  systemCalls: readonly string[] = changingCalls,
): Promise<number> {
  const counts = await countSystemCalls(await prepare(false), systemCalls);
  let isSomethingLeft = true;
  let killed = 0;
  for (const systemCall of counts.keys()) {
    for (let occurrence = 1; ; occurrence += 1) {
      const fault = { systemCall, occurrence };
      const outcome = await callWithFault(await prepare(isSomethingLeft), fault);
      isSomethingLeft = outcome.exitCode === 0;
      if (isSomethingLeft) break;
      if (outcome.signal !== "SIGKILL")
        throw new Error(
          `the call that was to be killed at ${systemCall} ${occurrence} failed: ${outcome.stdout}${outcome.stderr}`,
        );
      await onKilled(fault, outcome);
      killed += 1;
    }
  }
  const expected = [...counts.values()].reduce((sum, count) => sum + count, 0);
  if (2 * killed < expected) throw new Error(`only ${killed} runs were killed, of ${expected} that were to be`);
  return killed;
}

async function traced(
  call: CniCall,
  systemCalls: readonly string[],
  options: readonly string[],
): Promise<FaultOutcome> {
  using folder = temporaryFolder();
  const log = join(folder.path, "trace");
  const wrapper = ["strace", "-qq", "-o", log, "-e", "signal=none", "-e", `trace=${systemCalls.join(",")}`, ...options];
  const outcome = await callCni({ ...call, wrapper });
  return {
    ...outcome,
    trace: readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line !== ""),
  };
}
