// An agent of the compiled executable, with a socket and a log of its own.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { agentSocket } from "../../src/agent/protocol.ts";
import { type CniCall, polynicBin } from "./cni-caller.ts";
import { inNetns } from "./command.ts";
import { type Daemon, endDaemons, startDaemon, waitForDaemons } from "./daemon.ts";
import type { NodeNetns } from "./node-netns.ts";
import { searchPath } from "./packages.ts";

const startTimeoutMs = 60_000;
/** On a machine that is busy with something else a worker takes its time. */
const patienceMs = 30_000;
let count = 0;
/** What stands in an agent's log of each call that it did. */
export const callEnded = "did a call";

export interface AgentOptions {
  readonly node?: NodeNetns;
  readonly folder: string;
  readonly workers?: number;
  /** Its node's / (`--root`); the socket's path is one in there. */
  readonly root?: string;
  /** A command to run it under, such as setpriv with its options. */
  readonly wrapper?: readonly string[];
  /** Of its log; tests count the lines of "debug". */
  readonly level?: "debug" | "verbose";
  readonly executable?: string;
}

/** Ended, with its workers, when it is disposed of. */
export class TestAgent implements AsyncDisposable {
  private constructor(
    readonly socket: string,
    readonly daemon: Daemon,
  ) {}

  /** Starts one and waits until all workers wait for calls. */
  static async start(options: AgentOptions): Promise<TestAgent> {
    const {
      folder,
      node,
      workers = 2,
      root = "/",
      wrapper = [],
      level = "debug",
      executable = join(polynicBin, "polynic"),
    } = options;
    const socket = root === "/" ? join(folder, "agent", "agent.sock") : agentSocket;
    const command = [
      ...wrapper,
      executable,
      "agent",
      "--root",
      root,
      "--socket",
      socket,
      "--workers",
      String(workers),
      "--log-level",
      level,
    ];
    const daemon = startDaemon({
      folder,
      name: `agent-${count++}`,
      command: inNetns(node?.path, command),
      env: { PATH: searchPath },
    });
    const agent = new TestAgent(socket, daemon);
    await waitForDaemons([daemon], startTimeoutMs, async () => agent.lines("ready for calls").length >= workers);
    return agent;
  }

  get pid(): number {
    return this.daemon.process.pid;
  }

  /** The lines of its log that contain these words. */
  lines(words: string): string[] {
    return readFileSync(this.daemon.log, "utf8")
      .split("\n")
      .filter((line) => line.includes(words));
  }

  /** The calls that its workers have ended. */
  calls(): number {
    return this.lines(callEnded).length;
  }

  /** Process ids of the workers there are now. */
  workers(): number[] {
    return readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, "utf8")
      .trim()
      .split(" ")
      .filter(Boolean)
      .map(Number);
  }

  /** The same call, handed to this agent if it takes it within that time. */
  through(call: CniCall, waitMs = patienceMs): CniCall {
    return { ...call, env: { ...call.env, POLYNIC_AGENT: `${this.socket},${waitMs}` } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endDaemons([this.daemon], "SIGTERM");
  }
}
