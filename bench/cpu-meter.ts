import { readdirSync, readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second (USER_HZ). */
const msPerTick = 10;

/** Processor time that the API server and its etcd have used so far: all processes whose command line names the server's folder. */
export function serverCpuMs(folder: string): number {
  return cpuMsOf((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${folder}/`));
}

/** Processor time that these processes have used so far, with that of their children that have ended. */
export function processCpuMs(pids: readonly number[]): number {
  return cpuMsOf((pid) => pids.includes(pid));
}

function cpuMsOf(counts: (pid: number) => boolean): number {
  let ticks = 0;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (!counts(Number(name))) continue;
      const fields = readFileSync(`/proc/${name}/stat`, "utf8")
        .replace(/^.*\) /, "")
        .split(" ");
      // utime, stime, cutime and cstime, the 14th to 17th field of proc_pid_stat(5).
      for (const field of fields.slice(11, 15)) ticks += Number(field);
    } catch {
      // It has ended meanwhile.
    }
  }
  return ticks * msPerTick;
}
