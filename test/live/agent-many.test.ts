// Many calls, at once and one after the other: each gets its own, and nothing adds up in a worker.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TestAgent } from "../kit/agent.ts";
import { type CniCall, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { useLan, useTemporaryFolder } from "../kit/hooks.ts";

const lan = useLan();
const folder = useTemporaryFolder();
const testTimeoutMs = 1_800_000;

/** An address for a container; no kernel object is touched. */
function hostLocal(container: string): CniCall {
  const config = {
    cniVersion: "1.1.0",
    name: "many",
    ipam: { type: "host-local", ranges: [[{ subnet: "10.0.0.0/16" }]], dataDir: join(folder().path, "leases") },
  };
  const executable = join(polynicBin, "host-local");
  return { executable, config, containerId: container, ifName: "eth0", netns: "/run/netns/none", node: lan().node() };
}

/** How many descriptors a worker has that has nothing to do: right after its word it still has those of the call. */
async function descriptorsAtRest(pid: number): Promise<number> {
  const looksInARow = 10;
  let count = -1;
  for (let same = 0; same < looksInARow; same++) {
    const now = readdirSync(`/proc/${pid}/fd`).length;
    if (now !== count) same = 0;
    count = now;
    await Bun.sleep(20);
  }
  return count;
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

test(
  "200 calls at once: some are done by the workers, the others by their callers, all of them once",
  async () => {
    await using agent = await TestAgent.start({ node: lan().node(), folder: folder().path, workers: 2 });
    const containers = Array.from({ length: 200 }, (_, index) => `at-once-${index}`);
    const outcomes = await Promise.all(
      // The first ones wait for a worker, the others as long as a runtime's calls do.
      containers.map((name, index) =>
        mustCallCni({
          ...agent.through(hostLocal(name), index < 2 ? undefined : 20),
          command: "ADD",
          deadlineMs: testTimeoutMs,
        }),
      ),
    );
    const addresses = outcomes.map(({ result }) => (result as { ips: { address: string }[] }).ips[0]?.address);
    expect(new Set(addresses).size).toBe(containers.length);
    await expect.poll(() => agent.calls(), { timeout: testTimeoutMs }).toBeGreaterThan(0);
    await Promise.all(
      containers.map((name) =>
        mustCallCni({ ...agent.through(hostLocal(name), 20), command: "DEL", deadlineMs: testTimeoutMs }),
      ),
    );
    expect(readdirSync(join(folder().path, "leases", "many")).filter((name) => name.startsWith("10.0."))).toEqual([]);
  },
  testTimeoutMs,
);

test(
  "2,000 calls one after the other: a worker keeps its descriptors and its memory, and makes room for another after 1,000",
  async () => {
    await using agent = await TestAgent.start({ node: lan().node(), folder: folder().path, workers: 1 });
    const pair = async (): Promise<void> => {
      const call = agent.through(hostLocal("one-by-one"));
      await mustCallCni({ ...call, command: "ADD" });
      await mustCallCni({ ...call, command: "DEL" });
    };
    const [worker = 0] = agent.workers();
    for (let count = 0; count < 50; count += 1) await pair();
    const descriptors = await descriptorsAtRest(worker);
    const bytes = residentBytes(worker);
    for (let count = 50; count < 499; count += 1) await pair();
    expect(agent.workers()).toEqual([worker]);
    expect(await descriptorsAtRest(worker)).toBe(descriptors);
    expect(residentBytes(worker) - bytes).toBeLessThan(64 * 1024 * 1024);
    for (let count = 499; count < 1000; count += 1) await pair();
    await expect.poll(() => agent.workers(), { timeout: testTimeoutMs }).not.toContain(worker);
    // A worker writes its line after it has let the caller go.
    await expect.poll(() => agent.lines("exitCode=0").length, { timeout: testTimeoutMs }).toBe(2000);
    expect(agent.lines("[error]")).toEqual([]);
  },
  testTimeoutMs,
);
