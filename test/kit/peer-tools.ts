// The Go programs that polynic is compared with, built by module path (tools/peers/<set>/go.mod) into a cache outside the repository.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";

const sources = join(import.meta.dirname, "..", "..", "tools", "peers");
const heartbeatMs = 15_000;
/** What Go has to say when a module proxy is away for a moment; what it has got by then is kept. */
const networkTrouble = /dial tcp|timeout|connection re(?:set|fused)|unexpected EOF|50[0234] /i;
const attemptsMax = 3;

/** What is built together: the sets of tools/peers whose executables lie in one folder. */
const groups = {
  /** cnitool, the reference plugins and Multus: the folder is usable as CNI_PATH. */
  plugins: ["cni", "multus"],
  /** kube-apiserver. */
  kubernetes: ["kubernetes"],
  /** whereabouts, its ip-control-loop, ip-reconciler and node slice controller: the folder is usable as CNI_PATH. */
  whereabouts: ["whereabouts"],
  /** crictl. */
  cri: ["cri"],
  /** containerd 2, its shim and ctr: Debian's is of major version 1. */
  containerd: ["containerd"],
} as const;

export type PeerGroup = keyof typeof groups;

/** What Go names by their folders, and their own installers otherwise. */
const installedNames: Readonly<Record<string, string>> = {
  cmd: "whereabouts",
  controlloop: "ip-control-loop",
  reconciler: "ip-reconciler",
};

export interface PeerTools {
  /** Folder that holds the executables of a group under their own names. */
  readonly bin: string;
}

/** The Kubernetes release that kube-apiserver is built from; the module knows it as v1.35.4, the program only when it is told. */
const kubernetesModule = "k8s.io/kubernetes";

/** What says where the programs of these groups are, in the environment of a process that has neither Go nor the user's home: a guest's. */
export function peerFolders(...groups: readonly PeerGroup[]): Record<string, string> {
  return Object.fromEntries(groups.map((group) => [folderVariable(group), peerTools(group).bin]));
}

const folderVariable = (group: PeerGroup): string => `POLYNIC_PEERS_${group.toUpperCase()}`;

/**
 * The folder of the built peers. Throws when they are not built: `npm test -- peers` (and the bench) build them by `buildPeers`,
 * which is kept out of here so that a test never spends a minute compiling inside its own time limit.
 */
export function peerTools(group: PeerGroup = "plugins"): PeerTools {
  const told = process.env[folderVariable(group)];
  if (told !== undefined) return { bin: told };
  const bin = join(cacheFolder(group), "bin");
  const lane = { plugins: "peers", kubernetes: "api", whereabouts: "api", cri: "cri", containerd: "cri" }[group];
  if (!existsSync(bin)) throw new Error(`the Go peers are not built: run \`npm test -- ${lane}\` once`);
  return { bin };
}

/** "go1.26.8", or undefined when there is no Go on the PATH. */
export function goVersion(): string | undefined {
  const answer = spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" });
  return answer.status === 0 ? answer.stdout.trim() : undefined;
}

/**
 * Builds every set unless this very state of go.mod, go.sum and Go version is in the cache; `say` gets the progress, one line at a
 * time. Built beside and renamed, so a build that was interrupted is never taken for a finished one.
 */
export async function buildPeers(say: (line: string) => void, group: PeerGroup = "plugins"): Promise<PeerTools> {
  const folder = cacheFolder(group);
  if (existsSync(join(folder, "bin"))) return { bin: join(folder, "bin") };
  mkdirSync(dirname(folder), { recursive: true });
  const work = mkdtempSync(`${folder}.`);
  try {
    for (const set of groups[group]) await buildSet(set, join(work, "bin"), say);
    rmSync(folder, { recursive: true, force: true });
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return { bin: join(folder, "bin") };
}

/** The import paths of a set's `tool` lines. */
function toolsOf(set: string): string[] {
  const text = readFileSync(join(sources, set, "go.mod"), "utf8");
  const block = /^tool \(\n([^)]*)\)/m.exec(text)?.[1] ?? "";
  return block.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
}

async function buildSet(set: string, bin: string, say: (line: string) => void): Promise<void> {
  const tools = toolsOf(set);
  const began = Date.now();
  const seconds = () => Math.round((Date.now() - began) / 1000);
  say(`building the Go peers of set ${set}: ${tools.map((tool) => basename(tool)).join(" ")}`);
  mkdirSync(bin, { recursive: true });
  const args = ["build", "-trimpath", "-buildvcs=false", "-ldflags", linkerFlags(set), "-o", `${bin}/`, ...tools];
  const heartbeat = setInterval(() => say(`still building ${set} (${seconds()} s)`), heartbeatMs);
  try {
    for (let attempt = 1; ; attempt++) {
      const { code, complaint } = await compile(set, args);
      if (code === 0) break;
      if (attempt === attemptsMax || !networkTrouble.test(complaint))
        throw new Error(`go build of ${set} ended with ${code}: ${complaint}`);
      say(`building ${set} once more: ${complaint.split("\n").at(-1)}`);
    }
  } finally {
    clearInterval(heartbeat);
  }
  for (const [built, installed] of Object.entries(installedNames))
    if (existsSync(join(bin, built))) renameSync(join(bin, built), join(bin, installed));
  say(`built ${set} in ${seconds()} s`);
}

/** What Go says in the end, and its exit code. */
async function compile(
  set: string,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly complaint: string }> {
  const environment = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly", GOWORK: "off" };
  const compiler = spawn("go", [...args], {
    cwd: join(sources, set),
    env: environment,
    stdio: ["ignore", "inherit", "pipe"],
  });
  let complaint = "";
  compiler.stderr.on("data", (chunk) => (complaint = (complaint + String(chunk)).slice(-4000)));
  const code = await new Promise<number | null>((resolve, reject) => {
    compiler.on("error", reject);
    compiler.on("close", resolve);
  });
  return { code, complaint: complaint.trim() };
}

/** Without symbols; and with the version that Kubernetes' own build scripts would write in. */
function linkerFlags(set: string): string {
  const text = readFileSync(join(sources, set, "go.mod"), "utf8");
  const [, version, major, minor] = new RegExp(`${kubernetesModule} (v(\\d+)\\.(\\d+)\\.\\d+)`).exec(text) ?? [];
  if (version === undefined) return "-s -w";
  const settings = { gitVersion: version, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(settings).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  return `-s -w ${flags.join(" ")}`;
}

/** In the cache, under a name that changes whenever the result of the build would. */
function cacheFolder(group: PeerGroup): string {
  const hash = createHash("sha256");
  for (const set of groups[group]) {
    for (const name of ["go.mod", "go.sum"]) hash.update(readFileSync(join(sources, set, name))).update("\0");
  }
  hash.update(`${goVersion() ?? "no Go"} ${process.arch}`);
  return join(cacheRoot(), "peers", hash.digest("hex").slice(0, 16));
}

/** Where what takes long to get is kept from run to run: POLYNIC_CACHE, or a folder of the user's cache. */
export function cacheRoot(): string {
  return process.env["POLYNIC_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "polynic");
}
