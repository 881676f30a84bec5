import { JsonError } from "../json/error.ts";
import { decode, flag, getField, mapOf } from "../json/struct.ts";
import { stringify } from "../json/stringify.ts";
import { isJsonObject, type JsonObject, type JsonValue, parse } from "../json/value.ts";
import { CniError, code } from "./error.ts";
import { compareVersions, impliedVersion, newestVersion, versionNumbers } from "./version.ts";

/** One entry of a list's `plugins`, as written: nothing is injected yet. */
export interface PluginEntry {
  readonly type: string;
  /** The capabilities that the entry declares as true; `capabilities` itself stays in `config`, as libcni has it. */
  readonly capabilities: readonly string[];
  readonly config: JsonObject;
}

/** A network configuration (spec "Configuration format"): what a runtime loads by name and runs as a chain of plugins. */
export interface NetworkList {
  /** As written; only running it requires a name that the specification allows. */
  readonly name: string;
  /** The highest version of `cniVersion` and `cniVersions` that polynic speaks; "0.1.0" for none. Not checked any further. */
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  readonly loadOnlyInlinedPlugins: boolean;
  /** May be empty until the folder of the network's name was looked at. */
  readonly plugins: readonly PluginEntry[];
  /** The JSON that this list can be read from again: the very text it came from, unless plugins were added to it. */
  readonly text: string;
  /** What a person has written, where this was read from it: errors name lines and columns of it. */
  readonly written?: string;
  /** One line for each liberty that was taken to read the text. */
  readonly warnings: readonly string[];
}

/**
 * Reads a network configuration: a list, or the config of a single plugin, which becomes a list of one. Names match in any letter case.
 * Throws `CniError` code 6 for what is no JSON object, 7 with the JSON path for what does not fit.
 */
export function parseNetwork(text: string): NetworkList {
  const { value, warnings } = parseText(text);
  const wrapped = wrapIfSingle(value);
  return wrapped === undefined ? { ...readList(value), text, warnings } : { ...readSingle(wrapped), warnings };
}

/** As `parseNetwork`, of a config that is no text any more. */
export function readNetwork(config: JsonObject): NetworkList {
  const wrapped = wrapIfSingle(config);
  if (wrapped !== undefined) return { ...readSingle(wrapped), warnings: [] };
  return { ...readList(config), text: stringify(config), warnings: [] };
}

/** Reads the config of one plugin, as a file in the folder of a network's name holds it. Throws as `parseNetwork` does. */
export function parsePluginEntry(text: string): PluginEntry {
  return readEntry(parseText(text).value, "$");
}

/** The list with more plugins after its own; its text says so too. */
export function withPlugins(list: NetworkList, more: readonly PluginEntry[]): NetworkList {
  if (more.length === 0) return list;
  const plugins = [...list.plugins, ...more];
  const { name, cniVersion, disableCheck, disableGC } = list;
  const configs = plugins.map(({ config }) => config);
  const whole = { cniVersion, name, disableCheck, disableGC, loadOnlyInlinedPlugins: true, plugins: configs };
  return { ...list, plugins, text: stringify(whole) };
}

/** The IPAM plugin that a plugin's config names; "" when it names none, or can't be read. */
export function ipamTypeOf(config: JsonObject): string {
  const ipam = getField(config, "ipam");
  const type = isJsonObject(ipam) ? getField(ipam, "type") : undefined;
  return typeof type === "string" ? type : "";
}

function parseText(text: string): { readonly value: JsonObject; readonly warnings: readonly string[] } {
  const parsed = parsing(() => parse(text), code.decoding);
  if (isJsonObject(parsed.value)) return { value: parsed.value, warnings: parsed.warnings };
  throw new CniError(code.decoding, "error parsing configuration: expected a JSON object");
}

/** The config of a single plugin as a list of one; undefined for a list. */
function wrapIfSingle(config: JsonObject): JsonObject | undefined {
  if (getField(config, "plugins") !== undefined || getField(config, "type") === undefined) return undefined;
  return {
    cniVersion: readString(config, "cniVersion"),
    name: readString(config, "name"),
    plugins: [config],
  };
}

function readSingle(wrapped: JsonObject): Omit<NetworkList, "warnings"> {
  return { ...readList(wrapped, () => "$"), text: stringify(wrapped) };
}

/** `pathOf` says where the config of a plugin stands. */
function readList(
  list: JsonObject,
  pathOf = (index: number) => `$.plugins[${index}]`,
): Omit<NetworkList, "text" | "warnings"> {
  if (getField(list, "name") === undefined) throw refusal("no name");
  const loadOnlyInlinedPlugins = readSwitch(list, "loadOnlyInlinedPlugins");
  return {
    name: readString(list, "name"),
    cniVersion: chooseVersion(list),
    disableCheck: readSwitch(list, "disableCheck"),
    disableGC: readSwitch(list, "disableGC"),
    loadOnlyInlinedPlugins,
    plugins: readPlugins(list, loadOnlyInlinedPlugins, pathOf),
  };
}

function readPlugins(
  list: JsonObject,
  loadOnlyInlinedPlugins: boolean,
  pathOf: (index: number) => string,
): PluginEntry[] {
  const plugins = getField(list, "plugins");
  if (plugins === undefined && !loadOnlyInlinedPlugins) return [];
  if (plugins === undefined) throw refusal("$.loadOnlyInlinedPlugins is true, and there is no 'plugins' key");
  if (!Array.isArray(plugins)) throw refusal(`$.plugins: expected an array, found ${JSON.stringify(plugins)}`);
  if (plugins.length === 0) throw refusal("no plugins in list");
  const entries: PluginEntry[] = [];
  for (const [index, entry] of (plugins as readonly JsonValue[]).entries())
    entries.push(readEntry(entry, pathOf(index)));
  return entries;
}

const capabilityMap = mapOf(flag());

function readEntry(entry: JsonValue, path: string): PluginEntry {
  if (!isJsonObject(entry)) throw refusal(`${path}: expected an object, found ${JSON.stringify(entry)}`);
  const type = readString(entry, "type", path);
  if (type === "") throw refusal(`${path}.type: missing 'type'`);
  const declared = getField(entry, "capabilities") ?? {};
  const capabilities = parsing(() => decode(capabilityMap, declared, `${path}.capabilities`), code.invalidConfig);
  const granted: string[] = [];
  for (const name of Object.keys(capabilities)) if (capabilities[name] === true) granted.push(name);
  return { type, capabilities: granted, config: entry };
}

/** Versions that are newer than all that polynic speaks are passed over, unless `cniVersion` stands alone (spec "Version considerations"). */
function chooseVersion(list: JsonObject): string {
  const single = readString(list, "cniVersion");
  const several = getField(list, "cniVersions");
  if (several === undefined) return single || impliedVersion;
  if (!Array.isArray(several)) throw refusal("$.cniVersions: expected an array of versions");
  const named = several.map((each: JsonValue, index) => readVersion(each, `$.cniVersions[${index}]`));
  if (single !== "") named.push(readVersion(single, "$.cniVersion"));
  const newest = readVersion(newestVersion, "").numbers;
  const known = named.filter(({ numbers }) => compareVersions(numbers, newest) <= 0);
  return known.toSorted((a, b) => compareVersions(a.numbers, b.numbers)).at(-1)?.text ?? (single || impliedVersion);
}

function readVersion(value: JsonValue, path: string) {
  const numbers = typeof value === "string" ? versionNumbers(value) : undefined;
  if (typeof value !== "string" || numbers === undefined) {
    throw refusal(`${path}: expected a version such as "1.1.0", found ${JSON.stringify(value)}`);
  }
  return { text: value, numbers };
}

function readString(object: JsonObject, name: string, path = "$"): string {
  const value = getField(object, name) ?? "";
  if (typeof value === "string") return value;
  throw refusal(`${path}.${name}: expected a string, found ${JSON.stringify(value)}`);
}

/** A boolean; also "true" and "false" in any letter case, since libcni reads them. */
function readSwitch(list: JsonObject, name: string): boolean {
  const value = getField(list, name) ?? false;
  if (typeof value === "boolean") return value;
  const word = typeof value === "string" ? value.toLowerCase() : "";
  if (word === "true" || word === "false") return word === "true";
  throw refusal(`$.${name}: expected true or false, found ${JSON.stringify(value)}`);
}

function refusal(problem: string): CniError {
  return new CniError(code.invalidConfig, `error parsing configuration list: ${problem}`);
}

function parsing<T>(read: () => T, errorCode: number): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new CniError(errorCode, `error parsing configuration: ${cause.message}`, "", { cause });
  }
}
