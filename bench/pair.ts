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

/**
 * Pods before the counted ones: of a program that starts anew each time they fill the caches. A worker of an agent does a thousand calls in its
 * life, and its code gets faster over the first fifty or so: it is measured as it is after them.
 */
export const uncounted = { theirs: 1, ours: 1, agent: 100 } as const;

/** Who is measured: the Go original, our executable, and our executable with an agent. */
export type SideName = keyof typeof uncounted;

/** What is measured on each side; it runs steps in order and returns the milliseconds of each. */
export type Measures = { readonly [side in SideName]?: (run: number) => number[] };

/** What all sides took, by step and run; they run in turn, `pairs` times. */
export function measureInTurn(pairs: number, measures: Measures): Record<SideName, number[][]> {
  const taken: Record<SideName, number[][]> = { theirs: [], ours: [], agent: [] };
  const sides = Object.entries(measures) as [SideName, (run: number) => number[]][];
  for (const [side, measure] of sides) for (let call = 0; call < uncounted[side]; call += 1) measure(0);
  for (let run = 1; run <= pairs; run += 1) {
    for (const [side, measure] of sides) {
      measure(run).forEach((value, step) => (taken[side][step] ??= []).push(value));
    }
  }
  return taken;
}
