// Agents that are killed, busy, replaced or told to end, and callers that are killed: nothing depends on an agent, and no call is done twice.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TestAgent } from "../kit/agent.ts";
import { callCni, type CniOutcome, mustCallCni } from "../kit/cni-caller.ts";
import { inNetns } from "../kit/command.ts";
import { errorOf, type SitePod, useSite } from "../kit/multus-site.ts";
import type { Snapshot } from "../kit/snapshot.ts";

const site = useSite();
const pollMs = 10;
const waitTimeoutMs = 60_000;

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + waitTimeoutMs;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`${what} has not come`);
    await Bun.sleep(pollMs);
  }
}

/** A pod whose second network is a plugin that waits in the middle of the call until `release`. */
class HeldCall implements AsyncDisposable {
  readonly pod: SitePod;
  readonly before: Readonly<Record<string, Snapshot>>;
  readonly outcome: Promise<CniOutcome>;
  /** Of the executable that the runtime started. */
  callerId = 0;

  constructor(agent: TestAgent) {
    const here = site();
    const name = `wait-${String(process.hrtime.bigint())}`;
    const result = `{"cniVersion":"1.0.0","interfaces":[{"name":"net1"}]}`;
    here.script(
      name,
      `[ "$CNI_COMMAND" = ADD ] || exit 0`,
      `touch ${here.path("started")}`,
      `while [ ! -e ${here.path("release")} ]; do sleep 0.02; done`,
      `echo '${result}'`,
    );
    here.network("held", { cniVersion: "1.0.0", type: name });
    this.pod = here.pod("held");
    this.before = here.kernel(this.pod);
    this.outcome = callCni({
      ...agent.through(here.cniCall("ADD", this.pod)),
      onStart: (pid) => (this.callerId = pid),
    });
  }

  /** Comes back when the call is in the middle. */
  async isHeld(): Promise<void> {
    await until("the plugin's start", () => existsSync(site().path("started")));
  }

  release(): Promise<CniOutcome> {
    writeFileSync(site().path("release"), "");
    return this.outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

function startAgent(workers = 1): Promise<TestAgent> {
  return TestAgent.start({ node: site().node, folder: site().folder.path, workers });
}

/** Shorter than a test waits, for an agent that has no time. */
const impatienceMs = 20;

/** A pod's ADD and DEL, with an agent that does so many of them. */
async function expectServed(agent: TestAgent, calls: 0 | 2): Promise<void> {
  const here = site();
  const pod = here.pod();
  const before = here.kernel(pod);
  const already = agent.calls();
  const waitMs = calls === 0 ? impatienceMs : undefined;
  await mustCallCni(agent.through(here.cniCall("ADD", pod), waitMs));
  await mustCallCni(agent.through(here.cniCall("DEL", pod), waitMs));
  // Another pod's call may be on its way: only what is this one's counts.
  expect(here.kernel(pod)).toEqual(before);
  expect(here.files("cni").filter((path) => path.includes(pod.containerId))).toEqual([]);
  await until("the worker's word", () => agent.calls() - already >= calls);
  expect(agent.calls() - already).toBe(calls);
}

/** Takes connections and says nothing. */
function silentServer(path: string): Disposable {
  const server = createServer(() => {}).listen(path);
  return { [Symbol.dispose]: () => void server.close() };
}

/** Processes that always want to run, two more than there are processors. */
function busyProcessors(): Disposable {
  const loops = Array.from({ length: navigator.hardwareConcurrency + 2 }, () =>
    Bun.spawn(["sh", "-c", "while :; do :; done"]),
  );
  return { [Symbol.dispose]: () => loops.forEach((loop) => loop.kill("SIGKILL")) };
}

function isTraced(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).every((id) => !/^TracerPid:\s+0$/m.test(readFileSync(`${tasks}/${id}/status`, "utf8")));
}

test("while every worker is busy, the executable does the call itself", async () => {
  await using agent = await startAgent();
  await using held = new HeldCall(agent);
  await held.isHeld();
  await expectServed(agent, 0);
  expect(await held.release()).toMatchObject({ exitCode: 0 });
  await until("the end of the held call", () => agent.calls() === 1);
});

test("a worker that dies in the middle is said to have lost the call, and DEL takes back what it made", async () => {
  await using agent = await startAgent();
  await using held = new HeldCall(agent);
  await held.isHeld();
  const [worker = 0] = agent.workers();
  process.kill(worker, "SIGKILL");
  const outcome = await held.release();
  expect(outcome.exitCode).toBe(1);
  expect(errorOf(outcome)).toMatchObject({
    code: 11,
    msg: "the polynic agent's worker ended in the middle of this call; nobody has done the rest of it",
  });
  await mustCallCni(site().cniCall("DEL", held.pod));
  expect(site().remains(held.before, held.pod)).toEqual([]);
  await until("another worker", () => agent.lines("ready for calls").length === 2);
  await expectServed(agent, 2);
});

test("an agent that is killed leaves the running call to its worker, and the next ones to the executable", async () => {
  await using agent = await startAgent(2);
  await using held = new HeldCall(agent);
  await held.isHeld();
  const workers = agent.workers();
  process.kill(agent.pid, "SIGKILL");
  await agent.daemon.process.exited;
  expect(await held.release()).toMatchObject({ exitCode: 0 });
  await until("the workers' end", () => workers.every((pid) => !existsSync(`/proc/${pid}/fd/0`)));
  expect(existsSync(agent.socket)).toBe(true);
  await expectServed(agent, 0);
});

test("a caller that is killed takes the worker with it: nothing goes on, and DEL takes back what it made", async () => {
  await using agent = await startAgent();
  await using held = new HeldCall(agent);
  await held.isHeld();
  const [worker = 0] = agent.workers();
  process.kill(held.callerId, "SIGKILL");
  await until("the worker's end", () => !agent.workers().includes(worker));
  expect(await held.release()).toMatchObject({ signal: "SIGKILL" });
  await mustCallCni(site().cniCall("DEL", held.pod));
  expect(site().remains(held.before, held.pod)).toEqual([]);
  await until("another worker", () => agent.lines("ready for calls").length === 2);
  await expectServed(agent, 2);
});

test("told to end, it accepts nothing more and lets the running call end", async () => {
  await using agent = await startAgent();
  await using held = new HeldCall(agent);
  await held.isHeld();
  process.kill(agent.pid, "SIGTERM");
  await until("the end of the socket", () => !existsSync(agent.socket));
  await expectServed(agent, 0);
  expect(await held.release()).toMatchObject({ exitCode: 0 });
  expect(await agent.daemon.process.exited).toBe(0);
});

test("a newer agent takes the place of an older one, whose end does not touch it", async () => {
  const older = await startAgent();
  await using newer = await startAgent();
  expect(newer.socket).toBe(older.socket);
  await expectServed(newer, 2);
  await older[Symbol.asyncDispose]();
  expect(older.calls()).toBe(0);
  await expectServed(newer, 2);
});

test("an ADD whose journal the disk does not take, as is found out meanwhile, is taken back", async () => {
  await using agent = await startAgent();
  const here = site();
  const pod = here.pod();
  const before = here.kernel(pod);
  const [worker = 0] = agent.workers();
  const inject = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"];
  const tracer = Bun.spawn(["strace", "-f", "-o", here.path("trace"), ...inject, "-p", String(worker)], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  await until("the tracer of all threads", () => isTraced(worker));
  const outcome = await callCni(agent.through(here.cniCall("ADD", pod)));
  tracer.kill("SIGINT");
  await tracer.exited;
  const { code, msg } = errorOf(outcome);
  expect(code).toBe(5);
  expect(msg).toMatch(/can't be journaled: fdatasync .*: input\/output error/i);
  expect(here.remains(before, pod)).toEqual([]);
  await expectServed(agent, 2);
});

test("another build's call is declined", async () => {
  await using agent = await startAgent();
  const command = [
    process.execPath,
    join(import.meta.dirname, "..", "kit", "agent-caller.ts"),
    agent.socket,
    "macvlan",
    "other",
  ];
  const asked = Bun.spawnSync(inNetns(site().node.path, command), { env: { ...process.env, CNI_COMMAND: "STATUS" } });
  expect(asked.stdout.toString()).toBe("not taken\n");
  expect(agent.calls()).toBe(0);
  await expectServed(agent, 2);
});

test("where more wants to run than there are processors, a worker is waited for longer", () => {
  const path = site().path("silent.sock");
  using _server = silentServer(path);
  using _loops = busyProcessors();
  const command = [process.execPath, join(import.meta.dirname, "..", "kit", "agent-caller.ts"), path, "macvlan", "any"];
  const began = performance.now();
  // 1 ms, then twice as long each time: 511 ms, which no machine is too fast for.
  const asked = Bun.spawnSync([...command, "1", "8"], { env: { ...process.env } });
  expect(performance.now() - began).toBeGreaterThanOrEqual(511);
  expect(asked.stdout.toString()).toBe("not taken\n");
});

test.each<[string, (path: string) => Disposable]>([
  ["nothing", () => ({ [Symbol.dispose]: () => {} })],
  ["a file", (path) => (writeFileSync(path, ""), { [Symbol.dispose]: () => {} })],
  ["a folder", (path) => (mkdirSync(path), { [Symbol.dispose]: () => {} })],
  [
    "a socket that nobody listens at",
    (path) => {
      const bind = "IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die $!";
      Bun.spawnSync(["perl", "-MIO::Socket::UNIX", "-e", bind, path]);
      expect(statSync(path).isSocket()).toBe(true);
      return { [Symbol.dispose]: () => {} };
    },
  ],
  ["a program that never answers", silentServer],
])("with %s in the agent's place the executable does the call itself", async (_, occupy) => {
  const here = site();
  const path = here.path("occupied.sock");
  using _occupant = occupy(path);
  const pod = here.pod();
  const before = here.kernel(pod);
  const env = { POLYNIC_AGENT: path };
  await mustCallCni({ ...here.cniCall("ADD", pod), env });
  await mustCallCni({ ...here.cniCall("DEL", pod), env });
  expect(here.remains(before, pod)).toEqual([]);
});
