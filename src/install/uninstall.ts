import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getField } from "../json/struct.ts";
import { delegateOf, dispatcherConfs, hiddenConfs, restorePrimaries } from "./conf-file.ts";
import {
  type CredentialOptions,
  credentialsFolder,
  hasAccount,
  kubeconfigName,
  tokenName,
  writeCredentials,
} from "./credentials.ts";
import { isExecutableName } from "./executable.ts";
import { lockFolder } from "./folder-lock.ts";
import { InstallError } from "./install-error.ts";
import { installedLinks, removeLinks } from "./links.ts";
import { findPrimary } from "./primary.ts";
import { nodePath } from "./node-path.ts";
import { holders, releaseHolder } from "./release.ts";

export interface UninstallOptions {
  /** This process's own; pods' networks are released by it. */
  readonly executable: string;
  /** Folders as this process sees them. */
  readonly binDir: string;
  readonly confDir: string;
  /** Where the dispatcher keeps its journal. */
  readonly cniDir: string;
  /** What plugins of ours keep on the node besides, all of it ours. */
  readonly stateDir: string;
  /** How long a runtime may take to notice that a config has gone; until then it calls us by it. */
  readonly settleMs: number;
  /** How long to wait until the pods that hold networks are gone. */
  readonly drainTimeoutMs: number;
  /** Takes the networks of running pods away as well. */
  readonly detaches: boolean;
  /** Of the pod that uninstalls: those of the installing one ended with it, and giving back some addresses takes an API server. */
  readonly credentials: CredentialOptions;
  readonly say: (line: string) => void;
}

const pollMs = 200;

/**
 * Takes polynic off the node, in an order in which every pod can be deleted at every moment. First the runtime gets its own config
 * back, so that no new pod comes to us; then, while everything still works, what ended pods held is released, and running ones are waited
 * for; links, executables and credentials go last. Throws `InstallError` "busy" when running pods still hold networks after the time;
 * calling again goes on from there.
 */
export async function uninstall(options: UninstallOptions): Promise<void> {
  const { binDir, confDir, say } = options;
  await requireFolder(binDir);
  await renewCredentials(options);
  const conf = await removeConf(options);
  await Bun.sleep(options.settleMs);
  do {
    await drain(options, conf);
    await waitUntilUnused(binDir);
    // A call that was the last to begin may have attached something since.
  } while (holders(options.cniDir).length > 0);
  {
    using _ = await lockFolder(binDir);
    const { removed, restored } = removeLinks(binDir);
    for (const name of removed) say(`removed the link ${name}`);
    for (const name of restored) say(`restored ${join(binDir, name)}`);
    for (const name of readdirSync(binDir).filter(isExecutableName)) {
      rmSync(join(binDir, name));
      say(`removed ${name}`);
    }
  }
  using _ = await lockFolder(confDir);
  removeCredentials(join(confDir, credentialsFolder), say);
  rmSync(join(confDir, keptConfName), { force: true });
  removeState(options.cniDir);
  rmSync(options.stateDir, { recursive: true, force: true });
}

/** Before anything is changed: a wrong name must not leave half of polynic on the node. Throws `InstallError` "folder". */
async function requireFolder(path: string): Promise<void> {
  using _ = await lockFolder(path);
}

/**
 * Puts this pod's own credentials in place of those that an install has left, and follows kubelet when it rotates the token. Where there are
 * none, or this is no pod, nothing is written.
 */
async function renewCredentials({ confDir, credentials }: UninstallOptions): Promise<void> {
  const folder = join(confDir, credentialsFolder);
  if (!hasAccount(credentials) || !existsSync(join(folder, kubeconfigName))) return;
  using _ = await lockFolder(confDir);
  writeCredentials(folder, credentials);
}

/** What the config said while it was in force, for releasing; hidden from runtimes. */
const keptConfName = ".00-multus.uninstalling";

/** Returns the config's text; "" when there is none, and none was kept by an uninstall before. */
async function removeConf({ confDir, say }: UninstallOptions): Promise<string> {
  using _ = await lockFolder(confDir);
  const names = dispatcherConfs(confDir);
  const kept = join(confDir, keptConfName);
  const first = names[0];
  if (first === undefined) return existsSync(kept) ? readFileSync(kept, "utf8") : "";
  const text = readFileSync(join(confDir, first), "utf8");
  writeFileSync(kept, text, { mode: 0o600 });
  bringPrimaryBack(confDir, text, say);
  for (const name of names) {
    rmSync(join(confDir, name));
    say(`removed ${join(confDir, name)}`);
  }
  return text;
}

/** Somebody has to serve pods from now on: the config that was hidden, or else the delegate as our config has it. */
function bringPrimaryBack(confDir: string, text: string, say: (line: string) => void): void {
  const delegate = delegateOf(text);
  const name = delegate === undefined ? undefined : getField(delegate, "name");
  for (const path of restorePrimaries(confDir, hiddenConfs(confDir, name))) say(`restored ${path}`);
  if (findPrimary(confDir).kind === "found" || delegate === undefined) return;
  const isList = getField(delegate, "plugins") !== undefined;
  const path = join(confDir, `10-${typeof name === "string" ? name : "primary"}.${isList ? "conflist" : "conf"}`);
  writeFileSync(path, `${JSON.stringify(delegate, null, 2)}\n`, { mode: 0o600, flag: "wx" });
  say(`wrote ${path} with the default network, which had no other config`);
}

/** Releases what pods that are gone still hold, until nobody holds anything or the time is over. */
async function drain(options: UninstallOptions, conf: string): Promise<void> {
  const { say, executable, cniDir, binDir, detaches, drainTimeoutMs } = options;
  const deadline = performance.now() + drainTimeoutMs;
  let said = -1;
  for (;;) {
    let failure = "";
    await renewCredentials(options);
    for (const holder of holders(cniDir)) {
      if (holder.isRunning && !detaches) continue;
      const trouble = await releaseHolder({ executable, binDir, conf }, holder);
      if (trouble === undefined) say(`released the networks of ${holder.containerId}`);
      else failure = trouble;
    }
    const left = holders(cniDir);
    if (left.length === 0) return;
    if (performance.now() > deadline) throw stillHeld(left.length, failure);
    if (left.length !== said) say(`waiting for ${left.length} pods that hold networks`);
    said = left.length;
    await Bun.sleep(pollMs);
  }
}

function stillHeld(count: number, failure: string): InstallError {
  const why = failure === "" ? "" : ` (${failure})`;
  return new InstallError(
    "busy",
    `${count} pods still hold networks${why}; new pods already do without polynic: delete or restart those and call uninstall again, or take their networks away by --detach`,
  );
}

/** Until no call of ours runs any more: a runtime that had read the config may just have begun one. */
async function waitUntilUnused(binDir: string): Promise<void> {
  const names = new Set(installedLinks(binDir).flatMap((name) => [join(binDir, name), join(nodePath(binDir), name)]));
  const isUsed = (): boolean =>
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .some((pid) => names.has(commandOf(pid)));
  while (isUsed()) await Bun.sleep(pollMs);
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] ?? "";
  } catch {
    // It has just ended.
    return "";
  }
}

function removeCredentials(folder: string, say: (line: string) => void): void {
  if (!existsSync(folder)) return;
  for (const name of [kubeconfigName, tokenName]) rmSync(join(folder, name), { force: true });
  if (readdirSync(folder).length > 0) return;
  rmdirSync(folder);
  say(`removed ${folder}`);
}

/** The journal's folder with its empty ones; what somebody else keeps there stays. */
function removeState(cniDir: string): void {
  for (const name of [".settled", "locks", "results"]) rmSync(join(cniDir, name), { recursive: true, force: true });
  if (existsSync(cniDir) && readdirSync(cniDir).length === 0) rmdirSync(cniDir);
}
