// Programs that run beside the tests: started with a log of their own, ended with this process, however that ends.
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Daemon {
  readonly name: string;
  /** Path of what it writes to both streams. */
  readonly log: string;
  readonly process: Bun.Subprocess;
}

export interface DaemonOptions {
  /** Working directory and place of `<name>.log`, which is appended to. */
  readonly folder: string;
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const lastLinesCount = 15;
const pollMs = 50;

/** util-linux's setpriv: the kernel ends the child when this process ends, and does so also when it is killed. */
export function startDaemon({ folder, name, command, env = {} }: DaemonOptions): Daemon {
  const log = join(folder, `${name}.log`);
  const output = openSync(log, "a");
  const child = Bun.spawn(["setpriv", "--pdeathsig", "KILL", "--", ...command], {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdio: ["ignore", output, output],
  });
  return { name, log, process: child };
}

/** Ends them one after the other, each waited for. */
export async function endDaemons(daemons: readonly Daemon[], signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
  for (const { process } of daemons) {
    process.kill(signal);
    await process.exited;
  }
}

/** Waits until `isReady` says so. Throws with the end of its log when one has ended before, or the time is over. */
export async function waitForDaemons(
  daemons: readonly Daemon[],
  timeoutMs: number,
  isReady: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const dead = daemons.find(({ process }) => process.exitCode !== null || process.signalCode !== null);
    if (dead !== undefined) throw new Error(`${dead.name} ended with ${dead.process.exitCode}: ${lastLines(dead.log)}`);
    if (await isReady()) return;
    await Bun.sleep(pollMs);
  }
  const first = daemons[0];
  throw new Error(`${first?.name} was not ready within ${timeoutMs / 1000} s: ${lastLines(first?.log ?? "")}`);
}

/** The end of a log, with its path, for a message. */
function lastLines(path: string): string {
  return `(${path})\n${readFileSync(path, "utf8").split("\n").slice(-lastLinesCount).join("\n")}`;
}
