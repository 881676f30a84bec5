import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { namesDispatcher } from "../cni/dispatcher-type.ts";
import { replaceFile, temporaryOf } from "../libc/file.ts";
import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonObject, type JsonValue, parse, parseIfJson } from "../json/value.ts";
import type { GeneratedConf } from "./dispatcher-conf.ts";

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

/** A primary that is put out of the runtime's sight, if it is not already; `restorePrimaries` undoes it. */
export function hidePrimary(file: string): void {
  if (!file.endsWith(hiddenSuffix)) renameSync(file, `${file}${hiddenSuffix}`);
}

/**
 * The file name of the primary that the dispatcher's config in `confDir` was made from and that `hidePrimary` has hidden in `primaryDir`: as
 * it was found when somebody has written it anew since, the hidden one otherwise. Undefined when none was hidden.
 */
export function hiddenPrimary(confDir: string, primaryDir: string): string | undefined {
  const [own] = dispatcherConfs(confDir);
  const delegate = own === undefined ? undefined : delegateOf(readFileSync(join(confDir, own), "utf8"));
  const [hidden] = hiddenConfs(primaryDir, delegate === undefined ? undefined : getField(delegate, "name"));
  const original = hidden?.slice(0, -hiddenSuffix.length);
  return original !== undefined && existsSync(join(primaryDir, original)) ? original : hidden;
}

/** File names of the hidden configs of the network of that name. */
export function hiddenConfs(folder: string, name: JsonValue | undefined): string[] {
  if (name === undefined) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(hiddenSuffix) && nameIn(join(folder, file)) === name)
    .sort();
}

/** The default network that a dispatcher's config has in itself; undefined when it names one, or can't be read. */
export function delegateOf(text: string): JsonObject | undefined {
  const conf = objectOf(text);
  const plugins = conf === undefined ? undefined : getField(conf, "plugins");
  const plugin: JsonValue | undefined = Array.isArray(plugins) ? (plugins[0] as JsonValue) : conf;
  const delegates = isJsonObject(plugin) ? getField(plugin, "delegates") : undefined;
  const delegate: JsonValue | undefined = Array.isArray(delegates) ? (delegates[0] as JsonValue) : undefined;
  return isJsonObject(delegate) ? delegate : undefined;
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
const hiddenSuffix = ".old";

function isDispatcherConf(path: string): boolean {
  try {
    const { value } = parse(readFileSync(path, "utf8"));
    return isJsonObject(value) && namesDispatcher(value);
  } catch {
    // Torn or empty: the name says whose it was.
    return true;
  }
}

function nameIn(path: string): JsonValue | undefined {
  const conf = objectOf(readFileSync(path, "utf8"));
  return conf === undefined ? undefined : getField(conf, "name");
}

/** What is no JSON is not ours to judge here: it just names nothing. */
function objectOf(text: string): JsonObject | undefined {
  const value = parseIfJson(text);
  return isJsonObject(value) ? value : undefined;
}
