// Which files of a lane are run together: dealt out so that all parts of a lane take about as long.

/** Of files that take long, on a machine with two processors. Nothing but the parts' balance hangs on them. */
export const slowFiles: Readonly<Record<string, number>> = {
  "test/api/faults.test.ts": 100,
  "test/api/ipam-controller.test.ts": 36,
  "test/api/ipam-mixed.test.ts": 47,
  "test/api/killed.test.ts": 48,
  "test/api/leader.test.ts": 30,
  "test/api/peers.test.ts": 25,
  "test/api/whereabouts-faults.test.ts": 121,
  "test/api/whereabouts-regressions.test.ts": 24,
  "test/cri/load.test.ts": 49,
  "test/kernel/chains-killed.test.ts": 115,
  "test/kernel/cnitool.test.ts": 30,
  "test/kernel/compare-ipvlan.test.ts": 60,
  "test/kernel/compare-vlan.test.ts": 95,
  "test/kernel/ipvlan.test.ts": 30,
  "test/kernel/vlan.test.ts": 20,
  "test/live/bridge-faults.test.ts": 45,
  "test/live/chain-killed.test.ts": 35,
  "test/live/multus-fuzz.test.ts": 29,
  "test/live/multus-killed.test.ts": 36,
  "test/live/portmap-killed.test.ts": 25,
  "test/live/ports-killed.test.ts": 70,
  "test/node/agent.test.ts": 21,
  "test/node/anthos.test.ts": 32,
  "test/node/gke.test.ts": 26,
  "test/node/pods.test.ts": 74,
  "test/node/vlan.test.ts": 223,
  "test/peers/portmap.test.ts": 60,
};
const otherSeconds = 5;

export interface FileGroup {
  /** Paths from the repository's root on, sorted. */
  readonly files: readonly string[];
  /** About how long they take, one after the other. */
  readonly seconds: number;
}

/** All test files below a folder of `root` in `count` groups, or in as many as there are files; the one that takes longest comes first. */
export function fileGroups(root: string, folder: string, count: number): readonly FileGroup[] {
  const found = [...new Bun.Glob(`${folder}/**/*.test.ts`).scanSync({ cwd: root })].sort();
  const groups = Array.from({ length: Math.min(count, found.length) }, () => ({ files: [] as string[], seconds: 0 }));
  for (const file of found.toSorted((a, b) => secondsOf(b) - secondsOf(a))) {
    const [least] = groups.toSorted((a, b) => a.seconds - b.seconds);
    least?.files.push(file);
    if (least !== undefined) least.seconds += secondsOf(file);
  }
  return groups.map((group) => ({ ...group, files: group.files.sort() })).toSorted((a, b) => b.seconds - a.seconds);
}

function secondsOf(file: string): number {
  return slowFiles[file] ?? otherSeconds;
}
