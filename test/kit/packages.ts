// Debian packages that a lane needs, installed by the runner itself where it may.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Package by the executable it is wanted for: what is on the PATH already counts, wherever it came from. */
export const packageOf = {
  ip: "iproute2",
  nft: "nftables",
  iptables: "iptables",
  strace: "strace",
  nsenter: "util-linux",
  setpriv: "util-linux",
  openssl: "openssl",
  "linux.uml": "user-mode-linux",
  modprobe: "kmod",
  "g++": "g++",
  make: "make",
} as const;

export type Executable = keyof typeof packageOf;

const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"];

/** The PATH with the sbin folders, which an ordinary user's often lacks. */
export const searchPath = [...new Set(folders.filter((folder) => folder !== ""))].join(":");

/** Full path of an executable, or undefined when this machine lacks it. */
export function findExecutable(name: string): string | undefined {
  return searchPath
    .split(":")
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

/**
 * Makes sure that the executables are there, by apt-get when this is root on a machine that has it. Returns why not otherwise, with
 * the command that would help, or undefined when all is well.
 */
export function ensureExecutables(names: readonly Executable[], say: (line: string) => void): string | undefined {
  const missing = missingPackages(names);
  if (missing.length === 0) return undefined;
  const command = `apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  if (process.getuid?.() !== 0) return `missing packages; run as root: ${command}`;
  if (findExecutable("apt-get") === undefined)
    return `missing packages ${missing.join(" ")}, and no apt-get to install them`;
  say(`installing the Debian packages ${missing.join(" ")}`);
  const complaint = aptGet(["update"]) ?? aptGet(["install", "-y", "--no-install-recommends", ...missing]);
  if (complaint !== undefined) return `${command} failed: ${complaint}`;
  const still = missingPackages(names);
  return still.length === 0 ? undefined : `installed, yet not usable: ${still.join(" ")}`;
}

function missingPackages(names: readonly Executable[]): string[] {
  return [...new Set(names.filter((name) => findExecutable(name) === undefined).map((name) => packageOf[name]))];
}

/** For apt-get: another one's end is waited for, and a mirror that does not answer is asked again. */
export const patience = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=5"] as const;

/** What apt-get had to complain about in one line, or undefined after success. */
function aptGet(args: string[]): string | undefined {
  const done = spawnSync("apt-get", ["-qq", ...patience, ...args], {
    encoding: "utf8",
    env: { ...process.env, PATH: searchPath, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (done.status === 0) return undefined;
  return `${done.stderr}${done.error?.message ?? ""}`.trim().split("\n").slice(-2).join("; ");
}
