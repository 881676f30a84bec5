// The executable, killed at each system call by which it changes the world (a DEL afterwards leaves nothing), and with each of them failing
// (ADD itself leaves nothing).
import { readdirSync } from "node:fs";
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

interface Round extends Disposable {
  readonly pod: PinnedNetns;
  readonly folder: TemporaryFolder;
  readonly add: CniCall;
  readonly del: CniCall;
  readonly before: unknown;
}

function round(): Round {
  const node = lan().node();
  const pod = node.pod();
  const folder = temporaryFolder();
  const config = {
    cniVersion: "1.1.0",
    name: "lan",
    type: "macvlan",
    master: "eth0",
    ipam: {
      type: "host-local",
      dataDir: folder.path,
      ranges: [[{ subnet: "192.0.2.0/24" }], [{ subnet: "2001:db8::/64" }]],
      routes: [{ dst: "0.0.0.0/0" }],
    },
  };
  const executable = join(polynicBin, "macvlan");
  const call = { executable, config, containerId: "ctr0", ifName: "net1", netns: pod.path, node };
  return {
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

/** host-local's leases: files named by their address. */
function leases({ folder }: Round): string[] {
  return readdirSync(folder.path, { recursive: true, encoding: "utf8" }).filter((name) =>
    /(^|[/@])(192\.0\.2|2001:db8)[^/]*$/.test(name),
  );
}

async function deletedWithoutTrace(current: Round): Promise<void> {
  await mustCallCni(current.del);
  expectNothing(current);
}

function expectNothing(current: Round): void {
  expect([snapshot(lan().node().path), snapshot(current.pod.path)]).toEqual(current.before);
  expect(leases(current)).toEqual([]);
}

test.each<[string, (current: Round) => CniCall | Promise<CniCall>]>([
  ["ADD", (current) => current.add],
  ["DEL", async (current) => (await mustCallCni(current.add), current.del)],
])(
  "killed anywhere in %s, a DEL leaves nothing",
  async (_, start) => {
    let current = round();
    try {
      const killed = await killAtEverySystemCall(
        () => {
          current[Symbol.dispose]();
          current = round();
          return start(current);
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
    using first = round();
    const counts = await countSystemCalls(first.add, changingCalls);
    let failed = 0;
    for (const [systemCall, count] of counts) {
      for (let occurrence = 1; occurrence <= count; occurrence += 1) {
        using current = round();
        const outcome = await callWithFault(current.add, { systemCall, occurrence, errno: "EIO" });
        const place = `${systemCall} ${occurrence} of ${count}: ${outcome.stdout}`;
        expect(outcome.signal, place).toBeUndefined();
        if (outcome.exitCode === 0) continue;
        failed += 1;
        expect(() => expectNothing(current), place).not.toThrow();
      }
    }
    expect(failed).toBeGreaterThan(3);
  },
  sweepTimeoutMs,
);
