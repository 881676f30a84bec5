// What an agent tells the API server when the caller has its answer: no call waits for it, and none of it is lost.
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { TestAgent } from "../kit/agent.ts";
import { ApiProxy, type Mischief } from "../kit/api-proxy.ts";
import { callCni, mustCallCni } from "../kit/cni-caller.ts";
import { errorOf, type SitePod } from "../kit/multus-site.ts";
import type { Snapshot } from "../kit/snapshot.ts";
import { useApiSite } from "./use-site.ts";

const site = useApiSite();
const limit = { timeout: 60_000 };
const pass: Mischief = { kind: "pass" };
/** An event is given up after 3 s, which are over sooner than a busy machine has done what a test does meanwhile. */
const patienceMs = 1500;
const triesMax = 20;
const added = (at: string, network: string): RegExp =>
  new RegExp(`^Normal AddedInterface Add ${at} \\[.+\\] from ${network}$`);
let proxy: ApiProxy;

beforeAll(async () => {
  proxy = await ApiProxy.open(inject("api"));
  await site().useAccount("polynic", proxy.url);
  await site().network("n1", site().local.macvlan("net-1", "10.71.0.0/16"));
});
afterAll(() => proxy[Symbol.dispose]());

function startAgent(): Promise<TestAgent> {
  return TestAgent.start({ node: site().local.node, folder: site().local.folder.path, workers: 1 });
}

/** Lets events through from `release` on, which says whether they still wait for that. */
function holdEvents(): { readonly release: () => boolean } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let since: number | undefined;
  proxy.plan((step) => {
    if (step !== "create events") return pass;
    since ??= performance.now();
    return { kind: "pass", until: promise };
  });
  return {
    release: () => {
      resolve();
      return performance.now() - (since ?? 0) < patienceMs;
    },
  };
}

/** Does it until it says that it was fast enough for what it is about. */
async function inTime(attempt: () => Promise<boolean>): Promise<void> {
  for (let left = triesMax; !(await attempt()); left--)
    if (left === 0) throw new Error(`events were never held for less than ${patienceMs} ms`);
}

function waitForEvents(pod: SitePod, count: number): Promise<void> {
  return expect.poll(() => site().events(pod), limit).toHaveLength(count);
}

interface HeldEvents {
  readonly pod: SitePod;
  /** What there was before the ADD. */
  readonly before: Readonly<Record<string, Snapshot>>;
  readonly release: () => boolean;
}

/** An ADD whose events are held, by an agent of one worker. */
async function addWithHeldEvents(agent: TestAgent): Promise<HeldEvents> {
  const here = site();
  const pod = await here.pod("n1");
  const before = here.local.kernel(pod);
  const { release } = holdEvents();
  await mustCallCni(agent.through(here.cniCall("ADD", pod)));
  await expect.poll(() => proxy.steps()["create events"], limit).toBeGreaterThanOrEqual(2);
  expect(await here.status(pod)).toHaveLength(2);
  expect(await here.events(pod)).toEqual([]);
  return { pod, before, release };
}

test("an ADD does not wait for its events, nor does the worker's next call, and they come", async () => {
  const here = site();
  await inTime(async () => {
    await using agent = await startAgent();
    const { pod, release } = await addWithHeldEvents(agent);
    await mustCallCni(agent.through(here.cniCall("DEL", pod)));
    await expect.poll(() => agent.calls(), limit).toBe(2);
    expect(await here.events(pod)).toEqual([]);
    if (!release()) return false;
    await waitForEvents(pod, 2);
    const [first = "", second = ""] = await here.events(pod);
    expect(first).toMatch(added("eth0", "default-net"));
    expect(second).toMatch(added("net1", `${here.namespace}/n1`));
    return true;
  });
});

test("told to end, it ends when the events are delivered", async () => {
  await inTime(async () => {
    await using agent = await startAgent();
    const { pod, release } = await addWithHeldEvents(agent);
    process.kill(agent.pid, "SIGTERM");
    await expect.poll(() => existsSync(agent.socket), limit).toBe(false);
    const workers = agent.workers();
    const isInTime = release();
    expect(await agent.daemon.process.exited).toBe(0);
    await mustCallCni(site().cniCall("DEL", pod));
    if (!isInTime) return false;
    expect(workers).toHaveLength(1);
    expect(await site().events(pod)).toHaveLength(2);
    return true;
  });
});

test("where the agent is killed, its worker delivers them before it ends", async () => {
  await inTime(async () => {
    await using agent = await startAgent();
    const [worker = 0] = agent.workers();
    const { pod, release } = await addWithHeldEvents(agent);
    process.kill(agent.pid, "SIGKILL");
    await agent.daemon.process.exited;
    const isInTime = release();
    if (isInTime) await waitForEvents(pod, 2);
    await expect.poll(() => existsSync(`/proc/${worker}/fd/0`), limit).toBe(false);
    await mustCallCni(site().cniCall("DEL", pod));
    return isInTime;
  });
});

test("where the worker is killed, the pod has all but them, and DEL takes everything back", async () => {
  const here = site();
  await using agent = await startAgent();
  const [worker = 0] = agent.workers();
  const { pod, before, release } = await addWithHeldEvents(agent);
  process.kill(worker, "SIGKILL");
  await expect.poll(() => agent.lines("ready for calls").length, limit).toBe(2);
  release();
  await mustCallCni(agent.through(here.cniCall("DEL", pod)));
  expect(here.local.remains(before, pod)).toEqual([]);
});

test("one that can't be delivered is in the config's log and the agent's, and no other caller reads of it", async () => {
  const here = site();
  await using agent = await startAgent();
  const logFile = here.local.path("multus.log");
  const conf = { logFile, logLevel: "error", logToStderr: true };
  const pod = await here.pod("n1");
  proxy.plan((step) => (step === "create events" ? { kind: "answer", status: 403 } : pass));
  await mustCallCni(agent.through(here.cniCall("ADD", pod, { conf })));
  const words = "an event was not delivered: create event in ";
  await expect.poll(() => agent.lines(words).length, limit).toBe(1);
  // Standard error comes first.
  await expect.poll(() => readFileSync(logFile, "utf8"), limit).toContain(words);
  proxy.plan(() => pass);
  expect(await mustCallCni(agent.through(here.cniCall("DEL", pod, { conf })))).toMatchObject({ stderr: "" });
});

test("of interfaces that are taken back, since the status could not be written, no event tells", async () => {
  const here = site();
  await using agent = await startAgent();
  const pod = await here.pod("n1");
  proxy.plan((step) => (step === "patch pods/status" ? { kind: "answer", status: 409 } : pass));
  const outcome = await callCni(agent.through(here.cniCall("ADD", pod)));
  expect(errorOf(outcome).msg).toContain("error setting the networks status");
  await waitForEvents(pod, 1);
  expect(await here.events(pod)).toEqual([expect.stringMatching(/^Warning FailedToReport /)]);
  proxy.plan(() => pass);
  await mustCallCni(agent.through(here.cniCall("DEL", pod)));
});
