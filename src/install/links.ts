import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { executableName, isExecutableName } from "./executable.ts";
import { InstallError } from "./install-error.ts";

/** Folder below that of plugins for files that were there before; runtimes look for no plugin in it. */
const keptFolder = ".polynic";

/** The names among `plugins` that somebody else's file has: neither absent nor a link of ours. */
function foreignPlugins(folder: string, plugins: readonly string[]): string[] {
  return plugins.filter((name) => kindOf(join(folder, name)) === "foreign");
}

/** Throws `InstallError` "foreign" when somebody else's file has one of the names, and it is not to be replaced. */
export function refuseForeign(folder: string, plugins: readonly string[], replaces: boolean): void {
  const foreign = replaces ? [] : foreignPlugins(folder, plugins);
  if (foreign.length === 0) return;
  throw new InstallError(
    "foreign",
    `${foreign.map((name) => join(folder, name)).join(", ")} did not come from polynic; --replace puts it aside until uninstall, --plugins makes other links`,
  );
}

/**
 * Makes each plugin name a link to that version's file, in one step per name (a name is never missing in between). A file of somebody
 * else is kept aside for `removeLinks`; `refuseForeign` is asked before. Returns the names that were not links to this version yet.
 */
export function makeLinks(folder: string, plugins: readonly string[], version: string): string[] {
  for (const name of foreignPlugins(folder, plugins)) keepAside(folder, name);
  const target = executableName(version);
  const stale = plugins.filter((name) => targetOf(join(folder, name)) !== target);
  for (const name of stale) putLink(folder, name, target);
  return stale;
}

/** The names among `plugins` that nothing has: somebody has emptied the folder, as an update of a node's system may. */
export function absentPlugins(folder: string, plugins: readonly string[]): string[] {
  return plugins.filter((name) => kindOf(join(folder, name)) === "absent");
}

/** The links of ours in the folder. */
export function installedLinks(folder: string): string[] {
  return readdirSync(folder).filter((name) => kindOf(join(folder, name)) === "ours");
}

/** The files that our links in the folder name. */
export function linkedExecutables(folder: string): string[] {
  return [...new Set(installedLinks(folder).flatMap((name) => targetOf(join(folder, name)) ?? []))];
}

/** Takes our links away, and puts back what was there before them. Returns the names of both. */
export function removeLinks(folder: string): { readonly removed: string[]; readonly restored: string[] } {
  const kept = keptNames(folder);
  const removed: string[] = [];
  const restored: string[] = [];
  for (const name of kept) {
    // What took its place meanwhile is somebody else's decision.
    if (kindOf(join(folder, name)) === "foreign") continue;
    renameSync(join(folder, keptFolder, name), join(folder, name));
    restored.push(name);
  }
  for (const name of installedLinks(folder)) {
    rmSync(join(folder, name));
    removed.push(name);
  }
  if (keptNames(folder).length === 0) removeKeptFolder(folder);
  return { removed, restored };
}

function keptNames(folder: string): string[] {
  try {
    return readdirSync(join(folder, keptFolder));
  } catch {
    // Nothing was ever kept.
    return [];
  }
}

function removeKeptFolder(folder: string): void {
  try {
    rmdirSync(join(folder, keptFolder));
  } catch {
    // Nothing was ever kept.
  }
}

/** A name that was kept before stays what it is: the first file is the one that was there before polynic. */
function keepAside(folder: string, name: string): void {
  mkdirSync(join(folder, keptFolder), { recursive: true, mode: 0o755 });
  if (keptNames(folder).includes(name)) return;
  const path = join(folder, name);
  const kept = join(folder, keptFolder, name);
  // A second name for it, so that the plugin is there all the time: the link that follows takes its place in one step. Symbolic links
  // count from the folder that they are put back into.
  if (lstatSync(path).isSymbolicLink()) symlinkSync(readlinkSync(path), kept);
  else linkSync(path, kept);
}

function putLink(folder: string, name: string, target: string): void {
  const temporary = join(folder, `.polynic-link-${name}.tmp`);
  rmSync(temporary, { force: true });
  symlinkSync(target, temporary);
  renameSync(temporary, join(folder, name));
}

function targetOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // No link, or nothing at all.
    return undefined;
  }
}

function kindOf(path: string): "absent" | "ours" | "foreign" {
  const target = targetOf(path);
  if (target !== undefined && isExecutableName(target)) return "ours";
  return lstatSync(path, { throwIfNoEntry: false }) === undefined ? "absent" : "foreign";
}
