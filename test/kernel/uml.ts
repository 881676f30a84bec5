// Boots a User Mode Linux kernel whose root is this machine's file system, read-only, and runs a batch of cases in it: kinds of links
// that the machine's own kernel may lack are there.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../kit/command.ts";
import { findExecutable, searchPath } from "../kit/packages.ts";
import { temporaryFolder } from "../kit/tmp.ts";
import { leastUsedProcessor } from "./processor.ts";

/** A case returns when all is well and throws otherwise. It runs in the guest: what it uses of the test file's surroundings is files. */
export type GuestCases = Readonly<Record<string, () => void | Promise<void>>>;

export interface GuestOutcome {
  readonly name: string;
  /** What the case threw, with its stack; undefined when it passed. */
  readonly error?: string;
  readonly durationMs: number;
}

export interface GuestRun {
  /** In the order they ran; fewer than there are cases when the guest died or the time was up. */
  readonly outcomes: readonly GuestOutcome[];
  /** Everything that the kernel and the cases printed. */
  readonly console: string;
  /** Why the run is not complete, for people; undefined when the guest ran to its end. */
  readonly problem: string | undefined;
  /** The temporary folder that the guest could write to (gone by now): it is on the command line of each of its processes. */
  readonly folder: string;
}

export interface GuestOptions {
  /** For the whole boot; everything is 10 to 30 times slower inside than outside, and on a busy machine 10 times slower still. */
  readonly timeoutMs?: number;
  readonly memoryMb?: number;
  /** Modules to load first: IPv6 is one in this kernel. */
  readonly modules?: readonly string[];
  /** Further variables for the cases. */
  readonly environment?: Readonly<Record<string, string>>;
}

export const guestTimeoutMs = 1_800_000;
const finished = "polynic-guest-finished";

/**
 * One boot: imports `caseFile` in the guest and runs the `cases` that it exports, in order. Only a temporary folder is writable
 * besides the guest's own tmpfs on /run, /var/lib, /var/log and /dev/shm. Never throws for what happens inside: see `GuestRun`.
 */
export async function bootGuest(caseFile: string, options: GuestOptions = {}): Promise<GuestRun> {
  using shared = temporaryFolder();
  const init = shared.write("init", initScript(shared.path, caseFile, options));
  runCommand(["chmod", "755", init]);
  const timeoutMs = options.timeoutMs ?? guestTimeoutMs;
  const program = findExecutable("linux.uml") ?? "linux.uml";
  const kernel = [
    "taskset",
    "--cpu-list",
    String(leastUsedProcessor(program)),
    program,
    "root=/dev/root",
    "rootfstype=hostfs",
    "ro",
    `mem=${options.memoryMb ?? 1024}M`,
    `init=${init}`,
    `uml_dir=${shared.path}/uml/`,
    "con=null",
    "con0=null,fd:1",
    "quiet",
  ];
  const child = Bun.spawn(kernel, {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: searchPath, HOME: shared.path },
    // A group of its own: the guest's processes are processes of the host, and end with it at the time limit.
    detached: true,
  });
  const end = (): void => killGroup(child.pid);
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    end();
  }, timeoutMs);
  // Powering off, the kernel may wait for a lock of its own for ever: once the cases are through nobody needs it.
  const [stdout, stderr] = await Promise.all([readUntilFinished(child.stdout, end), child.stderr.text(), child.exited]);
  clearTimeout(timer);
  const results = join(shared.path, "results");
  // What follows the last newline is no whole line: the time was up while it was written.
  const lines = existsSync(results) ? readFileSync(results, "utf8").split("\n") : [];
  return {
    outcomes: lines.slice(0, -1).map((line) => JSON.parse(line) as GuestOutcome),
    console: `${stderr}${stdout}`,
    problem: problemOf(isTimedOut, timeoutMs, stdout),
    folder: shared.path,
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}

/** All of the output; `end` is called when it says that the cases are through. */
async function readUntilFinished(output: ReadableStream<Uint8Array>, end: () => void): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let isFinished = false;
  for await (const chunk of output) {
    text += decoder.decode(chunk, { stream: true });
    if (isFinished || !text.includes(finished)) continue;
    isFinished = true;
    end();
  }
  return text;
}

function problemOf(isTimedOut: boolean, timeoutMs: number, console: string): string | undefined {
  if (isTimedOut) return `not done after ${timeoutMs / 1000} s`;
  return console.includes(finished) ? undefined : "the guest ended before the cases were through";
}

/** What the guest runs as its first process. */
function initScript(shared: string, caseFile: string, { modules = [], environment = {} }: GuestOptions): string {
  const runner = join(import.meta.dirname, "guest-runner.ts");
  const exports = Object.entries(environment).map(([name, value]) => `export ${name}='${value}'`);
  return `#!/bin/sh
export PATH=${searchPath} HOME=/run TMPDIR=/run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /run /var/lib /var/log; do mount -t tmpfs -o mode=0755 tmpfs $folder; done
mkdir -p /dev/shm && mount -t tmpfs tmpfs /dev/shm
mount -t hostfs hostfs ${shared} -o ${shared}
# The kernel loads its modules through this: the package keeps them where modprobe does not look by itself.
mkdir -p /run/modules/lib/modules
ln -s /usr/lib/uml/modules/$(uname -r) /run/modules/lib/modules/
printf '#!/bin/sh\\nexec modprobe -d /run/modules "$@"\\n' > /run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
for module in ${modules.join(" ")}; do /run/modprobe $module; done
ip link set lo up
${exports.join("\n")}
cd ${shared}
${process.execPath} ${runner} ${caseFile} ${shared}/results && echo ${finished}
# Reached alive only when the cases were not through.
echo o > /proc/sysrq-trigger
while :; do sleep 1; done
`;
}
