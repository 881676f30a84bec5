// Running the tools of the test bed (ip, nft, …) and reading what they say.
import { searchPath } from "./packages.ts";

export interface CommandOptions {
  readonly stdin?: string;
  /** Path of a network namespace to run in; the caller's own otherwise. */
  readonly netns?: string;
}

/**
 * The same command in another network namespace. nsenter(1) and not setns(2) in this thread: helper threads that the runtime starts
 * meanwhile would stay behind in that namespace and keep it alive.
 */
export function inNetns(netns: string | undefined, command: readonly string[]): string[] {
  return netns === undefined ? [...command] : ["nsenter", `--net=${netns}`, "--", ...command];
}

/** Runs a command to its end and returns its standard output. Throws with its standard error when it fails. */
export function runCommand(command: readonly string[], options: CommandOptions = {}): string {
  const done = Bun.spawnSync(inNetns(options.netns, command), {
    stdin: options.stdin === undefined ? "ignore" : new TextEncoder().encode(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, PATH: searchPath },
  });
  if (done.success) return done.stdout.toString();
  const ending = done.signalCode === undefined ? `code ${done.exitCode}` : `signal ${done.signalCode}`;
  throw new Error(`${command.join(" ")} ended with ${ending}: ${done.stderr.toString().trim()}`);
}
