// Runs two programs in turn and takes the wall time of each whole process.

/** One program call: what a runtime would exec. Inherits the namespace that the bench stands in. */
export interface Exec {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** Wall milliseconds from spawn to exit, output read. Throws with the program's own words when it fails. */
export function time({ command, environment, stdin }: Exec): number {
  const began = performance.now();
  const child = Bun.spawnSync([...command], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...environment },
    stdin: new TextEncoder().encode(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const elapsed = performance.now() - began;
  if (child.exitCode !== 0) {
    throw new Error(
      `${command.join(" ")} ${environment["CNI_COMMAND"] ?? ""} ended with ${child.exitCode}: ${child.stdout.toString()} ${child.stderr.toString()}`,
    );
  }
  return elapsed;
}

/** What both sides of a pair took; `steps` run in order for theirs, then for ours, `pairs` times after one that is not counted. */
export function measurePairs(
  pairs: number,
  theirs: (run: number) => number[],
  ours: (run: number) => number[],
): { ours: number[][]; theirs: number[][] } {
  const taken: { ours: number[][]; theirs: number[][] } = { ours: [], theirs: [] };
  theirs(0);
  ours(0);
  for (let run = 1; run <= pairs; run += 1) {
    const go = theirs(run);
    const polynic = ours(run);
    go.forEach((value, step) => (taken.theirs[step] ??= []).push(value));
    polynic.forEach((value, step) => (taken.ours[step] ??= []).push(value));
  }
  return taken;
}
