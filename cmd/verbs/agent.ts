import { readlinkSync } from "node:fs";
import { Command, Option } from "commander";
import { runAgent } from "../../src/agent/agent.ts";
import { agentSocket } from "../../src/agent/protocol.ts";
import { daemonLog, untilTold } from "../daemon.ts";
import { UsageError } from "../usage-error.ts";
import type { VerbModule } from "../verb-module.ts";

interface Options {
  readonly socket: string;
  readonly workers?: number;
  readonly root: string;
  readonly logLevel: string;
  readonly logFormat: "text" | "json";
  readonly workerOf?: number;
}

/** A worker waits half of its time, for the kernel or the API server. */
const workersPerProcessor = 2;
const fewestWorkers = 2;
const mostWorkers = 8;
const workersLimit = 64;
/** The descriptor that a worker has the listening socket as. */
const listenerDescriptor = 3;

const examples = `
Does this node's CNI calls in processes whose code has run before, which saves what that costs each process. The plugins look for it by themselves,
and do a call themselves whenever it is not there, has no time, or is of another build, network namespace or root folder; with POLYNIC_AGENT=off in
the container runtime's environment they ask none. docs/agent.md has more.

Examples:
  polynic agent                            as a service of the node
  polynic agent --root /host               in a pod that has the node's / at /host
`;

export const command: VerbModule["command"] = (_, finish) =>
  new Command("agent")
    .description("Does CNI calls of this node in processes that are already warm.")
    .option("--socket <path>", "where plugins find it", agentSocket)
    .option(
      "--workers <number>",
      "how many calls are done at once (default: twice the processors, from 2 to 8)",
      parseWorkers,
    )
    .option("--root <folder>", "where the node's / is, for an agent in a container", "/")
    .option("--log-level <level>", "debug, verbose, error or panic", "verbose")
    .addOption(new Option("--log-format <format>", "how lines are written").choices(["text", "json"]).default("text"))
    .addOption(new Option("--worker-of <pid>").argParser(Number).hideHelp())
    .addHelpText("after", examples)
    .action(async (options: Options) => {
      const log = daemonLog(options.logLevel, options.logFormat);
      if (options.workerOf !== undefined) {
        const { runAgentWorker } = await import("../agent-worker.ts");
        await runAgentWorker(listenerDescriptor, options.workerOf, options.root, log);
      } else {
        const root = options.root.replace(/\/+$/, "");
        requireProcesses(root);
        await runAgent({
          path: root + options.socket,
          workers: options.workers ?? defaultWorkers(),
          startWorker: (listener) => startWorker(listener.number, options),
          signal: untilTold(log),
          log,
        });
      }
      finish(0);
    });

/**
 * A call writes down the process ids of plugins that it executes, for a later one that may not be the agent's: they have to be the node's.
 * Throws `UsageError` where they are not.
 */
function requireProcesses(root: string): void {
  const path = `${root}/proc/self`;
  if (ownLink(path) === String(process.pid)) return;
  throw new UsageError(
    `${path} is not this process: --root has to be the node's / with all that is mounted there, and the node's process ids are needed (hostPID: true)`,
  );
}

function ownLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function startWorker(listener: number, { root, logLevel, logFormat }: Options): Bun.Subprocess {
  const words = ["agent", "--worker-of", String(process.pid), "--root", root, "--log-level", logLevel];
  // This very executable, whatever has been put at its path since. An environment of its own: a call's comes with the call.
  return Bun.spawn(["/proc/self/exe", ...words, "--log-format", logFormat], {
    argv0: "polynic",
    env: { PATH: process.env["PATH"] ?? "" },
    cwd: "/",
    stdio: ["ignore", "inherit", "inherit", listener],
  });
}

function defaultWorkers(): number {
  return Math.min(Math.max(workersPerProcessor * navigator.hardwareConcurrency, fewestWorkers), mostWorkers);
}

function parseWorkers(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= workersLimit) return number;
  throw new UsageError(`--workers ${text}: expected a number from 1 to ${workersLimit}`);
}
