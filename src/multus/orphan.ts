import { kill, SIGKILL, sleep } from "../libc/process.ts";
import { readTextIfExists } from "../libc/file.ts";

const endWaitMs = 5000;
const endPollMs = 5;

/** One line about a process, by which it is known again: ids are used anew. "" for one that has ended. */
export function describeProcess(pid: number): string {
  const start = startOf(pid);
  return start === undefined ? "" : `${pid} ${start}`;
}

/**
 * Ends the process that the line describes, with its group, if it still runs: a plugin whose caller was killed. What it has done is taken back
 * by its own DEL, which must not be called while it goes on. Returns whether there was anything to end. Waits until it is gone, 5 s at most.
 */
export function endOrphan(line: string): boolean {
  const pid = Number(/^(\d+) \d+$/.exec(line)?.[1] ?? 0);
  if (pid === 0 || describeProcess(pid) !== line) return false;
  kill(-pid, SIGKILL);
  for (let waitedMs = 0; waitedMs < endWaitMs && describeProcess(pid) === line; waitedMs += endPollMs) sleep(endPollMs);
  return true;
}

/** When it began, in ticks since the machine did (proc_pid_stat(5), field 22); undefined for one that has ended, reaped or not. */
function startOf(pid: number): string | undefined {
  const text = readTextIfExists(`/proc/${pid}/stat`);
  // The name, in brackets, may hold anything.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ") ?? [];
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}
