// Control groups that containers of tests are put in. Unlike everything else a lane makes they do not go with its namespaces.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = "/sys/fs/cgroup";
const prefix = "polynic-test-";

/** Environment variable by which the lane's runner tells it the name of its group. */
const variable = "POLYNIC_TEST_CGROUP";

/** What a lane's environment needs so that all groups of its containers are below one that only `name` of this process has. */
export function cgroupEnvironment(name: string): Record<string, string> {
  return { [variable]: `${prefix}${process.pid}-${name}` };
}

/** The group below which this lane's containers are to be: "/polynic-test-123-cri-1". */
export function laneCgroup(): string {
  return `/${process.env[variable] ?? `${prefix}lane`}`;
}

/** Removes the groups of a lane with this environment, if any, and those of runners that were killed. A group that still has processes stays. */
export function removeCgroups(environment: Readonly<Record<string, string>> = {}): void {
  for (const hierarchy of hierarchies()) {
    for (const name of readdirSync(hierarchy)) {
      if (!name.startsWith(prefix)) continue;
      const owner = Number.parseInt(name.slice(prefix.length), 10);
      if (name === environment[variable] || !existsSync(`/proc/${owner}`)) removeTree(join(hierarchy, name));
    }
  }
}

/** Makes this lane's group in every hierarchy: a kubelet wants its own to be there. */
export function makeLaneCgroup(): void {
  for (const hierarchy of hierarchies()) {
    const folder = join(hierarchy, laneCgroup());
    mkdirSync(folder, { recursive: true });
    // Version 1: a group without processors and memory of its own takes no process.
    for (const name of ["cpuset.cpus", "cpuset.mems"])
      if (existsSync(join(folder, name)))
        writeFileSync(join(folder, name), readFileSync(join(hierarchy, name), "utf8"));
  }
}

/** Process ids of all that runs in this lane's group, as seen by this process. */
export function laneProcesses(): number[] {
  const folders = hierarchies().map((hierarchy) => join(hierarchy, laneCgroup()));
  const texts = folders.filter((folder) => existsSync(folder)).flatMap((folder) => processFiles(folder));
  return [...new Set(texts.flatMap((text) => text.split("\n").filter((line) => line !== "")).map(Number))];
}

function processFiles(folder: string): string[] {
  const children = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const own = readFileSync(join(folder, "cgroup.procs"), "utf8");
  return [own, ...children.flatMap(({ name }) => processFiles(join(folder, name)))];
}

/** Version 2 is one tree, version 1 has one per controller. */
function hierarchies(): string[] {
  if (!existsSync(root)) return [];
  if (existsSync(join(root, "cgroup.controllers"))) return [root];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, entry.name));
}

function removeTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(path, entry.name));
  try {
    rmdirSync(path);
  } catch {
    // Somebody is still in it: the next run finds it again.
  }
}
