// The root folder of a system without glibc: musl, and libstdc++ built against it (tools/peers/musl/build.sh says why it has to be built).
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { ensurePackage, packageFolder } from "./debian-program.ts";
import { searchPath } from "./packages.ts";
import { cacheRoot } from "./peer-tools.ts";

const script = join(import.meta.dirname, "..", "..", "tools", "peers", "musl", "build.sh");
const muslPackages = ["musl", "musl-dev", "musl-tools"];

/** The folder; what runs in it by chroot(2) finds musl's loader and libstdc++. Throws when it was not built. */
export function muslRoot(): string {
  const folder = rootFolder();
  if (!existsSync(folder)) throw new Error("the root folder with musl is not built: run `npm test -- cri` once");
  return folder;
}

/** Builds it unless it is in the cache; two minutes, from 85 MB of source. Returns why it can't be, or undefined. */
export function ensureMuslRoot(say: (line: string) => void): string | undefined {
  const folder = rootFolder();
  if (existsSync(folder)) return undefined;
  const source = `gcc-${gccMajor()}-source`;
  for (const name of [...muslPackages, source]) {
    const problem = ensurePackage(name, say);
    if (problem !== undefined) return `needs the package ${name}: ${problem}`;
  }
  const archive = sourceArchive(packageFolder(source));
  if (archive === undefined) return `the package ${source} has no archive of GCC's source`;
  say("building libstdc++ against musl");
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(`${folder}.`);
  try {
    const done = spawnSync("sh", [script, dirname(packageFolder(source)), archive, work], {
      encoding: "utf8",
      env: { ...process.env, PATH: searchPath },
      stdio: ["ignore", "ignore", "pipe"],
    });
    if (done.status !== 0) return `libstdc++ did not build: ${done.stderr.trim().split("\n").slice(-3).join("; ")}`;
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return undefined;
}

function gccMajor(): string {
  return spawnSync("g++", ["-dumpversion"], { encoding: "utf8" }).stdout?.trim().split(".")[0] ?? "";
}

function sourceArchive(folder: string): string | undefined {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const name = names.find((each) => /\/gcc-\d[^/]*\.tar\.\w+$/.test(each));
  return name === undefined ? undefined : join(folder, name);
}

function rootFolder(): string {
  const hash = createHash("sha256").update(readFileSync(script)).update(gccMajor()).digest("hex");
  return join(cacheRoot(), "musl", hash.slice(0, 16));
}
