import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { namesDispatcher } from "../cni/dispatcher-type.ts";
import { parse } from "../json/value.ts";
import { messageOf } from "../words/message.ts";
import { dispatcherConfs, hiddenPrimary, hidePrimary, writeConf } from "./conf-file.ts";
import { type CredentialOptions, credentialsFolder, hasAccount, writeCredentials } from "./credentials.ts";
import { type ConfOptions, generateConf } from "./dispatcher-conf.ts";
import { executableName, placeExecutable, removeOldExecutables } from "./executable.ts";
import { lockFolder } from "./folder-lock.ts";
import { InstallError } from "./install-error.ts";
import { absentPlugins, linkedExecutables, makeLinks, refuseForeign } from "./links.ts";
import { findPrimary } from "./primary.ts";

/** Everything that an install is told; folders are as this process sees them. */
export interface InstallOptions {
  /** The executable to install: this process's own, or the other build of it. */
  readonly source: string;
  readonly version: string;
  readonly binDir: string;
  readonly confDir: string;
  /** Names to link; empty where the folder of plugins is to be left alone. */
  readonly plugins: readonly string[];
  readonly replaces: boolean;
  /** Where the primary is looked for; usually `confDir`. */
  readonly primaryDir: string;
  /** File name of the primary; "" for the first. */
  readonly primaryFile: string;
  /** A ready config to use in place of a generated one; "" to generate. */
  readonly confFile: string;
  readonly hidesPrimary: boolean;
  readonly conf: ConfOptions;
  readonly credentials: CredentialOptions;
  /** One line for each thing that was done. */
  readonly say: (line: string) => void;
}

const pollMs = 200;
const patienceMs = 10_000;

/** Copies the executable and makes its links: all that can be done before there is a network. */
export async function installExecutable(options: InstallOptions): Promise<void> {
  const { source, binDir, plugins, version, replaces, say } = options;
  using _ = await lockFolder(binDir);
  refuseForeign(binDir, plugins, replaces);
  const before = linkedExecutables(binDir);
  // Links last: until then everything that runs is the version before.
  if (placeExecutable(source, binDir, version)) say(`wrote polynic-${version} into ${binDir}`);
  const linked = makeLinks(binDir, plugins, version);
  if (linked.length > 0) say(`linked ${linked.join(", ")}`);
  for (const name of removeOldExecutables(binDir, [...before, executableName(version)])) say(`removed ${name}`);
}

/**
 * Brings back links that have vanished, and the executable with them. Links to another version stay: a newer one may have been installed
 * meanwhile.
 */
export async function repairExecutable(options: InstallOptions): Promise<void> {
  const absent = absentPlugins(options.binDir, options.plugins);
  if (absent.length > 0) await installExecutable({ ...options, plugins: absent, replaces: false });
}

/** Writes the credentials where there are any. Returns whether that changed anything. */
export async function installCredentials(options: InstallOptions): Promise<boolean> {
  if (!hasAccount(options.credentials)) return false;
  using _ = await lockFolder(options.confDir);
  const written = writeCredentials(join(options.confDir, credentialsFolder), options.credentials);
  if (written.length > 0) options.say(`wrote ${written.join(", ")} into ${join(options.confDir, credentialsFolder)}`);
  return written.length > 0;
}

/**
 * Writes the dispatcher's config if there is a primary to write it from. Returns why there is none; what is there already then stays as it
 * is, so that a primary that vanishes for a moment takes no pod's network away.
 */
export async function installConf(options: InstallOptions): Promise<readonly string[]> {
  using _ = await lockFolder(options.confDir);
  if (options.confFile !== "") return copyConf(options);
  const search = findPrimary(options.primaryDir, primaryFileOf(options));
  if (search.kind === "none") return search.reasons;
  const { primary } = search;
  const conf = generateConf(primary, options.conf);
  if (writeConf(options.confDir, conf)) {
    const what = `${join(options.confDir, conf.fileName)} with ${primary.list.name || "a network without a name"} of ${primary.file}`;
    options.say(`wrote ${what} as the default network`);
  }
  if (options.hidesPrimary) hidePrimary(primary.file);
  return [];
}

/** What was hidden is the primary still: another config that comes first now must not become the node's default network. */
function primaryFileOf({ hidesPrimary, confDir, primaryDir, primaryFile }: InstallOptions): string {
  if (primaryFile !== "" || !hidesPrimary) return primaryFile;
  return hiddenPrimary(confDir, primaryDir) ?? "";
}

/**
 * As `installConf`, but waits for a primary for as long as it takes (`isEnded` says when to stop): the agent of the default network may
 * come later than we do. With a config of the dispatcher in place already nothing is waited for.
 */
export async function waitForConf(options: InstallOptions, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let nextWordAt = 0;
  for (;;) {
    const reasons = await installConf(options);
    if (reasons.length === 0) return;
    if (dispatcherConfs(options.confDir).length > 0) {
      options.say(`kept ${dispatcherConfs(options.confDir).join(", ")} as it was: ${reasons.join("; ")}`);
      return;
    }
    if (performance.now() > deadline) {
      throw new InstallError(
        "primary",
        `no default network after ${timeoutMs / 1000} s: ${reasons.join("; ")}; install the cluster's network plugin, or name its config by --multus-master-cni-file-name`,
      );
    }
    if (performance.now() >= nextWordAt) {
      options.say(`waiting for a default network: ${reasons.join("; ")}`);
      nextWordAt = performance.now() + patienceMs;
    }
    await Bun.sleep(pollMs);
  }
}

/**
 * Waits until the default network's own agent says that it is ready, so that the runtime does not see our config earlier. A file whose
 * folder is not there can't be seen from here (it is not mounted): the plugin itself waits for it.
 */
export async function waitForReadiness({ conf, say }: InstallOptions, timeoutMs: number): Promise<void> {
  const path = conf.readinessIndicatorFile;
  if (path === "" || existsSync(path) || !existsSync(join(path, ".."))) return;
  say(`waiting for ${path}`);
  const deadline = performance.now() + timeoutMs;
  while (!existsSync(path)) {
    if (performance.now() > deadline)
      throw new InstallError(
        "primary",
        `${path} was not there after ${timeoutMs / 1000} s: is the default network's agent up?`,
      );
    await Bun.sleep(pollMs);
  }
}

/** Takes the dispatcher's config away, and nothing else: the runtime goes back to the primary. */
export async function removeConf({ confDir, say }: InstallOptions): Promise<void> {
  using _ = await lockFolder(confDir);
  for (const name of dispatcherConfs(confDir)) {
    rmSync(join(confDir, name));
    say(`removed ${join(confDir, name)}`);
  }
}

/**
 * Makes the folders that are ours to make: on a node without any CNI plugin yet they may be missing. Throws `InstallError` "folder" where
 * that can't be done.
 */
export function makeFolders({ binDir, confDir, plugins }: InstallOptions): void {
  for (const folder of plugins.length > 0 ? [binDir, confDir] : [confDir]) makeFolder(folder);
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    const reason = messageOf(cause);
    const cure = "--cni-bin-dir and --cni-conf-dir name the container runtime's bin_dir and conf_dir";
    throw new InstallError("folder", `${path} can't be made: ${reason}; ${cure}`, { cause });
  }
}

function copyConf(options: InstallOptions): readonly string[] {
  const { confFile, confDir, say } = options;
  const text = readConfFile(confFile);
  const isList = /"plugins"\s*:/.test(text);
  const fileName = `00-multus.${isList ? "conflist" : "conf"}`;
  if (writeConf(confDir, { fileName, text })) say(`wrote ${join(confDir, fileName)} from ${confFile}`);
  return [];
}

function readConfFile(path: string): string {
  try {
    const text = readFileSync(path, "utf8");
    if (namesDispatcher(parse(text).value)) return text;
    throw new InstallError("config", `--multus-conf-file ${path}: expected a config of type multus`);
  } catch (cause) {
    if (cause instanceof InstallError) throw cause;
    const reason = messageOf(cause);
    throw new InstallError(
      "config",
      `--multus-conf-file ${path}: ${reason}; name a config of type multus, or "auto" to have one generated`,
      { cause },
    );
  }
}
