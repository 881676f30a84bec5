// Steps shared by every npm script. Runs on plain Node (>= 20) before anything is installed, so it imports nothing but Node itself.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** One line of progress on stderr, so that stdout stays the command's own. */
export function say(text) {
  process.stderr.write(`polynic: ${text}\n`);
}

/** Runs a command with inherited streams; ends this process with its exit code when it fails. */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (done.error) {
    say(`${command} could not be started: ${done.error.message}`);
    process.exit(1);
  }
  if (done.status !== 0) process.exit(done.status ?? 1);
}

function digest(paths) {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(relative(root, path)).update("\0").update(readFileSync(path)).update("\0");
  return hash.digest("hex");
}

function filesUnder(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** True when `stamp` already holds `value`; otherwise false, and the caller writes it after its work succeeded. */
function isCurrent(stamp, value) {
  return existsSync(stamp) && readFileSync(stamp, "utf8") === value;
}

/** Installs the packages of the lock file when they are missing or another lock file's. */
export function prepareModules() {
  const stamp = join(root, "node_modules", ".polynic-lock");
  const want = digest([join(root, "package-lock.json")]);
  if (isCurrent(stamp, want)) return;
  say("installing the pinned packages");
  // Not `npm ci`: it refuses a lock file made where a registry lacks binaries for other systems; --no-save keeps the lock as it is. What was
  // fetched before need not be asked for again: the lock file says exactly which it is.
  run("npm", ["install", "--prefer-offline", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]);
  writeFileSync(stamp, want);
}

/** Path of the pinned Bun: the platform package is asked for directly, so no install script needs to have run. */
export function bunPath() {
  const arch = process.arch === "arm64" ? "aarch64" : "x64";
  const path = join(root, "node_modules", "@oven", `bun-linux-${arch}`, "bin", "bun");
  if (existsSync(path)) return path;
  say(`no Bun for this machine at ${path}; polynic builds on Linux (glibc) x64 and arm64`);
  process.exit(1);
}

/**
 * Path of the same Bun for musl, which the musl build is put into. npm leaves it out on a system with glibc, so it is fetched by itself
 * and held to the lock file's checksum.
 */
function muslBunPath() {
  const name = `@oven/bun-linux-${process.arch === "arm64" ? "aarch64" : "x64"}-musl`;
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const { version: number, integrity } = packages[`node_modules/${name}`];
  const folder = join(root, "node_modules", ".polynic", `${name.replace("/", "-")}-${number}`);
  const path = join(folder, "bin", "bun");
  if (existsSync(path)) return path;
  say(`fetching ${name} ${number}`);
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(`${folder}.`);
  run("npm", ["pack", "--silent", "--prefer-offline", "--pack-destination", work, `${name}@${number}`], {
    stdio: ["ignore", 2, 2],
  });
  const archive = join(work, readdirSync(work)[0]);
  const [algorithm, want] = integrity.split(/-(.*)/);
  if (createHash(algorithm).update(readFileSync(archive)).digest("base64") !== want) {
    say(`${name}@${number} is not what package-lock.json says: expected ${integrity}`);
    process.exit(1);
  }
  run("tar", ["-xzf", archive, "-C", work]);
  rmSync(folder, { recursive: true, force: true });
  renameSync(join(work, "package"), folder);
  rmSync(work, { recursive: true });
  return path;
}

/** Version string: package.json's version plus the commit, marked when the tree has changes. */
function version() {
  const { version: number } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const git = (...args) => spawnSync("git", args, { cwd: root, encoding: "utf8" }).stdout?.trim() ?? "";
  const commit = git("rev-parse", "--short=10", "HEAD");
  if (commit === "") return number;
  return `${number}+${commit}${git("status", "--porcelain", "--", "cmd", "src", "package.json") === "" ? "" : "-dirty"}`;
}

/**
 * Compiles dist/polynic, and dist/polynic-musl for systems without glibc, and links dist/bin/<plugin>, unless the sources are those of the last
 * build.
 */
export function build() {
  prepareModules();
  const sources = [
    ...filesUnder(join(root, "cmd")),
    ...filesUnder(join(root, "src")),
    join(root, "package.json"),
    join(root, "package-lock.json"),
    join(root, "tools", "compile.ts"),
    join(root, "tools", "steps.mjs"),
    join(root, "tools", "link.ts"),
  ];
  const stamp = join(root, "dist", ".stamp");
  const label = version();
  const buildId = digest(sources).slice(0, 16);
  const want = `${buildId} ${label}`;
  if (isCurrent(stamp, want)) return;
  say(`compiling dist/polynic ${label}`);
  mkdirSync(join(root, "dist"), { recursive: true });
  // Their names change with their contents: those of the last build would stay for ever.
  for (const name of readdirSync(join(root, "dist"))) if (name.endsWith(".map")) rmSync(join(root, "dist", name));
  const began = Date.now();
  // The second one's maps are the same: both have the same code in them.
  const compile = [join(root, "tools", "compile.ts"), label, buildId];
  run(bunPath(), [...compile, join(root, "dist", "polynic")]);
  run(bunPath(), [...compile, join(root, "dist", "polynic-musl"), muslBunPath()]);
  run(bunPath(), [join(root, "tools", "link.ts")]);
  writeFileSync(stamp, want);
  say(
    `built dist/polynic and dist/polynic-musl, ${(statSync(join(root, "dist", "polynic")).size / 1e6).toFixed(0)} MB each, in ${((Date.now() - began) / 1000).toFixed(1)} s`,
  );
}

/** Types, type-aware lint with import boundaries, unused code, format. */
export function check() {
  prepareModules();
  run(bunPath(), ["check", "--no-script"]);
  run(join(root, "node_modules", ".bin", "oxlint"), ["--type-aware", "--import-plugin", "--deny-warnings"]);
  run(bunPath(), ["--bun", join(root, "node_modules", "knip", "bin", "knip.js"), "--no-progress"]);
  run(bunPath(), [
    "fmt",
    "--no-script",
    "--check",
    "--print-width=120",
    "cmd",
    "src",
    "test",
    "bench",
    "tools",
    "vitest.config.ts",
  ]);
}
