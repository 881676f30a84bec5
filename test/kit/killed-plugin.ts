// A plugin killed at each system call by which it changes the world, and with each of them failing.
import { expect, test } from "vitest";
import { type CniCall, mustCallCni, polynicBin } from "./cni-caller.ts";
import { callWithFault, changingCalls, countSystemCalls, killAtEverySystemCall } from "./fault.ts";
import type { NodeNetns, PinnedNetns } from "./node-netns.ts";
import { snapshot } from "./snapshot.ts";
import { type TemporaryFolder, temporaryFolder } from "./tmp.ts";

const sweepTimeoutMs = 300_000;

/** A fresh pod and what is to be called for it; both go with the round. */
export interface Round extends Disposable {
  readonly node: NodeNetns;
  readonly pod: PinnedNetns;
  readonly folder: TemporaryFolder;
  readonly add: CniCall;
  readonly del: CniCall;
  /** Kernel state before the ADD. */
  readonly before: unknown;
}

/** A round of the plugin that the config, which may name files of the round's folder, is for. */
export function newRound(node: NodeNetns, configIn: (folder: string) => { readonly type: string }): Round {
  const pod = node.pod();
  const folder = temporaryFolder();
  const config = configIn(folder.path);
  const executable = `${polynicBin}/${config.type}`;
  const call = { executable, config, containerId: "ctr0", ifName: "net1", netns: pod.path, node };
  return {
    node,
    pod,
    folder,
    add: { ...call, command: "ADD" },
    del: { ...call, command: "DEL" },
    before: [snapshot(node.path), snapshot(pod.path)],
    [Symbol.dispose]: () => {
      pod[Symbol.dispose]();
      folder[Symbol.dispose]();
    },
  };
}

export interface Sweep {
  readonly round: () => Round | Promise<Round>;
  /** Fails unless nothing of the round's pod is left in files. */
  readonly expectNoFiles: (round: Round) => void;
  /** After an ADD that failed: what may still be left for the runtime's DEL, which is then called before the look. */
  readonly isDelNeeded: boolean;
}

/** The tests: a DEL after a kill leaves nothing, and so does an ADD in which a system call fails. */
export function testSweeps({ round, expectNoFiles, isDelNeeded }: Sweep): void {
  const expectNothing = (current: Round): void => {
    expect([snapshot(current.node.path), snapshot(current.pod.path)]).toEqual(current.before);
    expectNoFiles(current);
  };

  test.each<[string, (current: Round) => CniCall | Promise<CniCall>]>([
    ["ADD", (current) => current.add],
    ["DEL", async (current) => (await mustCallCni(current.add), current.del)],
  ])(
    "killed anywhere in %s, a DEL leaves nothing",
    async (_, start) => {
      let current = await round();
      try {
        const killed = await killAtEverySystemCall(
          async () => {
            current[Symbol.dispose]();
            current = await round();
            return await start(current);
          },
          async () => {
            await mustCallCni(current.del);
            expectNothing(current);
          },
        );
        expect(killed).toBeGreaterThan(3);
      } finally {
        current[Symbol.dispose]();
      }
    },
    sweepTimeoutMs,
  );

  test(
    "an ADD that meets a failing system call anywhere takes itself back, or does without it",
    async () => {
      using first = await round();
      const counts = await countSystemCalls(first.add, changingCalls);
      let failed = 0;
      for (const [systemCall, count] of counts) {
        for (let occurrence = 1; occurrence <= count; occurrence += 1) {
          using current = await round();
          const outcome = await callWithFault(current.add, { systemCall, occurrence, errno: "EIO" });
          const place = `${systemCall} ${occurrence} of ${count}: ${outcome.stdout}`;
          expect(outcome.signal, place).toBeUndefined();
          if (outcome.exitCode === 0) continue;
          failed += 1;
          if (isDelNeeded) await mustCallCni(current.del);
          expect(() => expectNothing(current), place).not.toThrow();
        }
      }
      expect(failed).toBeGreaterThan(3);
    },
    sweepTimeoutMs,
  );
}
