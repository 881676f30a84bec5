import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { polynicBin } from "./cni-caller.ts";
import { inNetns, runCommand } from "./command.ts";

/**
 * A node's system as small as can be, to be some process's /: the executable under the names of these plugins in /opt/cni/bin, and what it is linked
 * to, all of it copies; and a proc of this process's kind, whose mount goes when it is disposed of. The folder stays.
 */
export class CopiedSystem implements Disposable {
  /** `hasProc` false: /proc stays empty, where mounting one is not allowed. */
  constructor(
    readonly root: string,
    plugins: readonly string[],
    private readonly hasProc = true,
  ) {
    const executable = join(polynicBin, "polynic");
    const libraries = runCommand(["ldd", executable]).match(/\/\S+(?= \(0x)/g) ?? [];
    for (const path of libraries) {
      mkdirSync(this.path(dirname(path)), { recursive: true });
      cpSync(path, this.path(path), { dereference: true });
    }
    mkdirSync(this.path("opt/cni/bin"), { recursive: true });
    cpSync(executable, this.path("opt/cni/bin/polynic"), { dereference: true });
    for (const name of plugins) symlinkSync("polynic", this.path("opt/cni/bin", name));
    mkdirSync(this.path("proc"));
    if (hasProc) runCommand(["mount", "-t", "proc", "proc", this.path("proc")]);
  }

  path(...names: readonly string[]): string {
    return join(this.root, ...names);
  }

  [Symbol.dispose](): void {
    if (this.hasProc) runCommand(["umount", this.path("proc")]);
  }
}

/**
 * A process in a network namespace, by which every system with a proc knows that by one path; in a fresh one that goes with it, unless one is
 * named.
 */
export class Occupant implements AsyncDisposable {
  readonly netns: string;
  readonly #process: Bun.Subprocess;

  private constructor(netns: string | undefined) {
    const command = netns === undefined ? ["unshare", "--net"] : inNetns(netns, []);
    this.#process = Bun.spawn([...command, "sleep", "infinity"], { stdio: ["ignore", "ignore", "ignore"] });
    this.netns = `/proc/${this.#process.pid}/ns/net`;
  }

  /** Comes back when it is in there. */
  static async enter(netns?: string): Promise<Occupant> {
    const occupant = new Occupant(netns);
    const own = runCommand(["readlink", "/proc/self/ns/net"]);
    await expect.poll(() => runCommand(["readlink", occupant.netns]), { timeout: 60_000 }).not.toBe(own);
    return occupant;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}
