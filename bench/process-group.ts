// A control group, to know what all processes of one kind have used together however many there were, and however short they lived.
import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { laneCgroup } from "../test/kit/cgroups.ts";

const root = "/sys/fs/cgroup";
const removeTries = 250;
const pauseMs = 20;
let count = 0;

/** What they used from the group's beginning. */
export interface GroupUsage {
  readonly cpuMs: number;
  /** Memory of all of them at the worst moment: their own, the kernel's for them, and files that they were the first to read. */
  readonly peakMiB: number;
}

export class ProcessGroup {
  readonly #memory: string;
  readonly #cpu: string;

  private constructor(name: string) {
    this.#memory = join(root, "memory", name);
    this.#cpu = join(root, "cpuacct", name);
    for (const folder of [this.#memory, this.#cpu]) mkdirSync(folder, { recursive: true });
  }

  /** A fresh one: nothing that ran before counts. Throws where control groups are not of version 1, which alone was tried. */
  static make(): ProcessGroup {
    if (!existsSync(join(root, "cpuacct"))) throw new Error("the node bench counts by control groups of version 1");
    return new ProcessGroup(`${laneCgroup()}/bench-${count++}`);
  }

  /** Lines of sh(1) by which a shell joins the group before it becomes something else. */
  get joinScript(): string {
    return [this.#memory, this.#cpu].map((folder) => `echo 0 > ${folder}/cgroup.procs\n`).join("");
  }

  usage(): GroupUsage {
    return {
      cpuMs: this.#number(this.#cpu, "cpuacct.usage") / 1e6,
      peakMiB: this.#number(this.#memory, "memory.max_usage_in_bytes") / 2 ** 20,
    };
  }

  /** Memory that is in use now. */
  nowMiB(): number {
    return this.#number(this.#memory, "memory.usage_in_bytes") / 2 ** 20;
  }

  /** Removes it when its last process has ended. */
  async remove(): Promise<void> {
    for (const folder of [this.#memory, this.#cpu]) {
      for (let left = removeTries; !tryRemove(folder, left === 0); left--) await Bun.sleep(pauseMs);
    }
  }

  #number(folder: string, name: string): number {
    return Number(readFileSync(join(folder, name), "utf8"));
  }
}

function tryRemove(folder: string, isLast: boolean): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    if (isLast) throw error;
    return false;
  }
}
