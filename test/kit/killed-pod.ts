// The ADD and the DEL of a pod, killed at every system call that changes the world, one after the other until one comes to its end.
import { type CniCall, mustCallCni } from "./cni-caller.ts";
import { killAtEverySystemCall } from "./fault.ts";
import type { SitePod } from "./multus-site.ts";
import type { Snapshot } from "./snapshot.ts";

export interface PodRound {
  readonly pod: SitePod;
  /** Kernel state before the ADD. */
  readonly before: Record<string, Snapshot>;
}

export interface PodSweep {
  /** A fresh pod, not attached yet. */
  readonly prepare: () => PodRound | Promise<PodRound>;
  /** A call of the dispatcher for the pod. */
  readonly call: (command: string, pod: SitePod) => CniCall;
}

/** What to do after a kill; `at` says for messages where it was, "write 3". */
type AfterKill = (at: string, round: PodRound, occurrence: number) => Promise<void>;

/** A round whose ADD is over: by then all folders that outlive a pod are there, and every later ADD makes the same system calls. */
export async function settled({ prepare, call }: PodSweep): Promise<PodRound> {
  const round = await prepare();
  await mustCallCni(call("ADD", round.pod));
  return round;
}

/** Returns how often an ADD was killed. */
export function killAdds(sweep: PodSweep, afterKill: AfterKill): Promise<number> {
  return sweepOver(sweep, "ADD", async () => await sweep.prepare(), afterKill);
}

/** Returns how often a DEL was killed. */
export function killDels(sweep: PodSweep, afterKill: AfterKill): Promise<number> {
  return sweepOver(sweep, "DEL", () => settled(sweep), afterKill);
}

async function sweepOver(
  sweep: PodSweep,
  command: string,
  begin: () => Promise<PodRound>,
  afterKill: AfterKill,
): Promise<number> {
  let round = await settled(sweep);
  let isFirst = true;
  // Undisturbed runs, with which a sweep begins and ends, leave their pods attached.
  const leave = async (isAttached = true): Promise<void> => {
    if (isAttached) await mustCallCni(sweep.call("DEL", round.pod));
    round.pod.netns[Symbol.dispose]();
  };
  const killed = await killAtEverySystemCall(
    async (isSomethingLeft) => {
      await leave(isSomethingLeft || isFirst);
      isFirst = false;
      round = await begin();
      return sweep.call(command, round.pod);
    },
    ({ systemCall, occurrence }) => afterKill(`${systemCall} ${occurrence}`, round, occurrence),
  );
  await leave();
  return killed;
}
