// Where a guest runs: its kernel and its processes hand over to each other at every system call and page fault, which costs half of the time when
// one of them has to be woken on another processor.
import { readdirSync, readFileSync } from "node:fs";

/** The processor of this process's own on which the fewest guests are pinned: leaders of process groups that `program` was started as. */
export function leastUsedProcessor(program: string): number {
  const guests = new Map(processorsOf("self").map((processor) => [processor, 0]));
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const isLeader = read(pid, "stat").split(") ").at(-1)?.split(" ")[2] === pid;
    if (!isLeader || read(pid, "cmdline").split("\0")[0] !== program) continue;
    const [only, ...others] = processorsOf(pid);
    if (only !== undefined && others.length === 0) guests.set(only, (guests.get(only) ?? 0) + 1);
  }
  return [...guests].toSorted(([, a], [, b]) => a - b)[0]?.[0] ?? 0;
}

/** Those that a process may run on (proc(5): "0-3,8"); none when it is gone. */
function processorsOf(pid: string): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read(pid, "status"))?.[1] ?? "";
  return list.split(",").flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split("-").map(Number);
    return Number.isNaN(first) ? [] : Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

/** "" when the process has just ended. */
function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
