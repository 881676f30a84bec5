// whereabouts below macvlan, killed at each system call by which it changes the world (a DEL afterwards leaves nothing, and takes nobody else's
// address), and with each of them failing (ADD itself leaves nothing).
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type CniCall, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { callWithFault, changingCalls, countSystemCalls, killAtEverySystemCall } from "../kit/fault.ts";
import { useLan } from "../kit/hooks.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { snapshot } from "../kit/snapshot.ts";
import { type TemporaryFolder, temporaryFolder } from "../kit/tmp.ts";

const lan = useLan();
const sweepTimeoutMs = 300_000;
/** Of another pod, which is there all the time. */
const othersAddresses = ["192.0.2.1.json", "2001-db8--1.json"];

interface Round extends Disposable {
  readonly pod: PinnedNetns;
  readonly folder: TemporaryFolder;
  readonly add: CniCall;
  readonly del: CniCall;
  readonly before: unknown;
}

async function round(): Promise<Round> {
  const node = lan().node();
  const pod = node.pod();
  const folder = temporaryFolder();
  const config = {
    cniVersion: "1.1.0",
    name: "lan",
    type: "macvlan",
    master: "eth0",
    ipam: {
      type: "whereabouts",
      manifests: folder.path,
      data_dir: join(folder.path, "node"),
      range: "192.0.2.0/24",
      ipRanges: [{ range: "2001:db8::/64" }],
    },
  };
  const executable = join(polynicBin, "macvlan");
  const call = { executable, config, containerId: "ctr0", ifName: "net1", netns: pod.path, node };
  const current: Round = {
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
  await mustCallCni({ ...call, executable: join(polynicBin, "whereabouts"), containerId: "other", command: "ADD" });
  return current;
}

const filesIn = (path: string): string[] => (existsSync(path) ? readdirSync(path).sort() : []);

async function deletedWithoutTrace(current: Round): Promise<void> {
  await mustCallCni(current.del);
  expectNothing(current);
}

function expectNothing({ pod, folder, before }: Round): void {
  expect([snapshot(lan().node().path), snapshot(pod.path)]).toEqual(before);
  const objects = join(folder.path, ".state", "whereabouts");
  expect(filesIn(join(objects, "overlappingrangeipreservations"))).toEqual(othersAddresses);
  expect(filesIn(join(folder.path, "node", "journal"))).toEqual(["other:net1"]);
}

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
        () => deletedWithoutTrace(current),
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
        // What could not be taken back just then is for the runtime's DEL.
        await mustCallCni(current.del);
        expect(() => expectNothing(current), place).not.toThrow();
      }
    }
    expect(failed).toBeGreaterThan(3);
  },
  sweepTimeoutMs,
);
