import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { replaceFile, temporaryOf } from "../libc/file.ts";
import { isJsonObject, parse } from "../json/value.ts";
import type { GeneratedConf } from "./dispatcher-conf.ts";
import { namesDispatcher } from "./primary.ts";

/** Every name that the dispatcher's config may have: which one depends on its version. */
const fileNames = ["00-multus.conf", "00-multus.conflist"];

/**
 * Puts the config into place in one step, readable by root only, and removes a dispatcher's config of the other name, which would come
 * first or second with whatever it said. Unchanged content is not written again. Returns whether anything was changed.
 */
export function writeConf(folder: string, { fileName, text }: GeneratedConf): boolean {
  const path = join(folder, fileName);
  const isCurrent = existsSync(path) && readFileSync(path, "utf8") === text;
  if (!isCurrent) replaceFile(path, text, 0o600, temporaryOf(path));
  const others = dispatcherConfs(folder).filter((name) => name !== fileName);
  for (const name of others) rmSync(join(folder, name));
  return !isCurrent || others.length > 0;
}

/** The dispatcher's configs in the folder: ours, or Multus' own. */
export function dispatcherConfs(folder: string): string[] {
  return fileNames.filter((name) => existsSync(join(folder, name)) && isDispatcherConf(join(folder, name)));
}

/** A primary that is put out of the runtime's sight, and where it was found; `restorePrimary` undoes it. */
export function hidePrimary(file: string): void {
  renameSync(file, `${file}${hiddenSuffix}`);
}

/** Gives hidden configs their names back, unless something new has taken them. Returns the paths. */
export function restorePrimaries(folder: string, names: readonly string[]): string[] {
  const restored: string[] = [];
  for (const name of names) {
    const path = join(folder, name.slice(0, -hiddenSuffix.length));
    if (!name.endsWith(hiddenSuffix) || existsSync(path)) continue;
    renameSync(join(folder, name), path);
    restored.push(path);
  }
  return restored;
}

/** As Multus' --rename-conf-file has it. */
export const hiddenSuffix = ".old";

function isDispatcherConf(path: string): boolean {
  try {
    const { value } = parse(readFileSync(path, "utf8"));
    return isJsonObject(value) && namesDispatcher(value);
  } catch {
    // Torn or empty: the name says whose it was.
    return true;
  }
}
