// Moves a program into namespaces of its own, so that whatever it makes, or leaves when killed, is not the machine's and goes with it.
import { isErrno } from "../../src/libc/errno.ts";
import { CLONE_NEWNET, CLONE_NEWNS, mount, MS_PRIVATE, MS_REC, unshare } from "../../src/libc/namespace.ts";
import { effectiveUserId } from "../../src/libc/process.ts";

/** Folders that CNI programs keep state in; each becomes empty, and an ordinary user may then write to it. */
const stateFolders = ["/run", "/var/lib", "/var/log"];
/** Set for the second start: "user" inside a user namespace, "inside" when all is ready. */
const stageVariable = "POLYNIC_DEMO_STAGE";

/**
 * Runs `main` with a network, mounts and state folders of its own by starting this program again, and returns its exit code. As root by
 * system calls alone; for others, and where root may not (a container without CAP_SYS_ADMIN), in a user namespace by unshare(1).
 * `program` is the command that starts this program.
 */
export async function runInside(program: readonly string[], main: () => Promise<number>): Promise<number> {
  const stage = process.env[stageVariable];
  if (stage === "inside") return main();
  if (effectiveUserId() === 0) {
    try {
      leaveTheMachine(program);
      return await start(program, "inside");
    } catch (error) {
      if (!isErrno(error, "EPERM") || stage === "user") throw error;
    }
  }
  if (stage === "user") throw new Error("unshare --map-root-user did not make this process root");
  const unsharePath = Bun.which("unshare");
  if (unsharePath === null)
    throw new Error("needs root, or unshare(1) of the package util-linux to make a user namespace");
  return start([unsharePath, "--user", "--map-root-user", "--net", "--mount", ...program], "user");
}

function leaveTheMachine(program: readonly string[]): void {
  unshare(CLONE_NEWNS | CLONE_NEWNET);
  mount("", "/", "", MS_REC | MS_PRIVATE);
  for (const folder of stateFolders) {
    // A checkout may lie in one of them (/var/lib/jenkins); covering it would take the program away.
    if (!program.some((path) => path.startsWith(`${folder}/`))) mount("polynic-demo", folder, "tmpfs", 0, "mode=0755");
  }
}

/** A child inherits the namespaces of this thread; the other threads of this process stay where they were. */
async function start(command: readonly string[], stage: string): Promise<number> {
  const child = Bun.spawn([...command], {
    stdio: ["inherit", "inherit", "inherit"],
    env: { ...process.env, [stageVariable]: stage },
  });
  return child.exited;
}
