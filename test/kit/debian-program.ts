// A program out of a Debian package, without installing the package: a service that it brings would be started on the machine.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { findExecutable, patience, searchPath } from "./packages.ts";
import { cacheRoot } from "./peer-tools.ts";

export interface DebianProgram {
  readonly name: string;
  readonly package: string;
  /** Folder of the package that it lies in. */
  readonly folder: string;
  /** Only the package's own will do, whatever is on the PATH. */
  readonly isOwn?: boolean;
}

export const etcd: DebianProgram = { name: "etcd", package: "etcd-server", folder: "usr/bin" };
export const containerd: DebianProgram = { name: "containerd", package: "containerd", folder: "usr/bin" };
export const runc: DebianProgram = { name: "runc", package: "runc", folder: "usr/sbin" };
/** Linked statically: it is all that there is in the image of tests' pods. */
export const busybox: DebianProgram = { name: "busybox", package: "busybox-static", folder: "bin", isOwn: true };

/** Its path: on the PATH, or unpacked before; undefined when neither. */
export function findProgram({ name, package: from, folder, isOwn = false }: DebianProgram): string | undefined {
  const unpacked = join(packageFolder(from), folder, name);
  const onPath = isOwn ? undefined : findExecutable(name);
  return onPath ?? (existsSync(unpacked) ? unpacked : undefined);
}

/** Makes sure that `findProgram` finds it, by apt-get download into the cache. Returns why not, or undefined when all is well. */
export function ensureProgram(program: DebianProgram, say: (line: string) => void): string | undefined {
  if (findProgram(program) !== undefined) return undefined;
  const problem = ensurePackage(program.package, say);
  if (problem !== undefined) return `needs ${program.name} on the PATH: ${problem}`;
  return findProgram(program) === undefined ? `the package ${program.package} has no ${program.name}` : undefined;
}

/** The folder that a package is unpacked into, or would be. */
export function packageFolder(name: string): string {
  return join(cacheRoot(), "debian", name);
}

/** Downloads and unpacks a package unless it is there. Returns why not, or undefined when all is well. */
export function ensurePackage(name: string, say: (line: string) => void): string | undefined {
  const folder = packageFolder(name);
  if (existsSync(folder)) return undefined;
  for (const tool of ["apt-get", "dpkg-deb"])
    if (findExecutable(tool) === undefined) return `no ${tool} here to get the package ${name} by`;
  say(`downloading the Debian package ${name}`);
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(`${folder}.`);
  try {
    const problem = download(name, work);
    if (problem !== undefined) return `apt-get download ${name} failed: ${problem}`;
    const archive = readdirSync(work).find((file) => file.endsWith(".deb")) ?? "";
    const unpacked = run(["dpkg-deb", "-x", archive, "root"], work);
    if (unpacked !== undefined) return `unpacking ${archive} failed: ${unpacked}`;
    renameSync(join(work, "root"), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return undefined;
}

/** With the lists of packages as they are; root fetches them anew when that does not do. */
function download(name: string, folder: string): string | undefined {
  const first = run(["apt-get", "-qq", ...patience, "download", name], folder);
  if (first === undefined || process.getuid?.() !== 0) return first;
  return (
    run(["apt-get", "-qq", ...patience, "update"], folder) ??
    run(["apt-get", "-qq", ...patience, "download", name], folder)
  );
}

/** What a command had to complain about in one line, or undefined after success. */
function run([command = "", ...args]: readonly string[], cwd: string): string | undefined {
  const done = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, PATH: searchPath, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (done.status === 0) return undefined;
  return `${done.stderr}${done.error?.message ?? ""}`.trim().split("\n").slice(-2).join("; ");
}
