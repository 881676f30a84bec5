import { SystemError } from "../libc/errno.ts";
import { readDirectoryIfExists, readText, statusIfExists } from "../libc/file.ts";
import { CniError, code } from "./error.ts";
import { isNetworkName } from "./names.ts";
import { type NetworkList, parseNetwork, parsePluginEntry, type PluginEntry, withPlugins } from "./network-list.ts";

/**
 * The network of that name in a folder such as /etc/cni/net.d, found as libcni does: *.conflist by file name, then *.conf and *.json
 * by file name; the first of that name counts, and a file before it that can't be read ends the search. Throws `CniError` that names the
 * file and the place in it, or code 7 when no file has that name.
 */
export function loadNetwork(folder: string, name: string): NetworkList {
  const files = [...filesIn(folder, [".conflist"]), ...filesIn(folder, [".conf", ".json"])];
  for (const file of files) {
    const list = readNetwork(file);
    if (list.name === name) return complete(list, folder);
  }
  if (files.length > 0) {
    const message = `no net configuration with name ${JSON.stringify(name)} in ${folder}`;
    throw new CniError(code.invalidConfig, message, `looked at ${files.join(", ")}`);
  }
  const isThere = statusIfExists(folder) !== undefined;
  const details = isThere ? "expected *.conflist, *.conf or *.json in it" : "there is no such folder";
  throw new CniError(code.invalidConfig, `no net configurations found in ${folder}`, details);
}

/** The network that a file holds, whatever its name: a list, or a single plugin as a list of one. Throws as `loadNetwork` does. */
export function loadNetworkFile(file: string): NetworkList {
  return complete(readNetwork(file), file.replace(/\/?[^/]*$/, "") || (file.startsWith("/") ? "/" : "."));
}

function readNetwork(file: string): NetworkList {
  return reading(file, (written) => ({ ...parseNetwork(written), written }));
}

/** Adds the plugins of `<folder>/<network name>/*.conf` (spec "Plugin configuration objects"). There must be one plugin in the end. */
function complete(list: NetworkList, folder: string): NetworkList {
  const whole = list.loadOnlyInlinedPlugins ? list : withPlugins(list, extraPlugins(folder, list.name));
  if (whole.plugins.length > 0) return whole;
  throw new CniError(
    code.invalidConfig,
    "no plugin configs found",
    `network ${JSON.stringify(list.name)} in ${folder}`,
  );
}

/** The plugins of `<folder>/<name>/*.conf` by file name; none for a name that is no network's or a folder that is not there. */
export function extraPlugins(folder: string, name: string): PluginEntry[] {
  // Any other name could lead out of the folder.
  if (!isNetworkName(name)) return [];
  return filesIn(`${folder}/${name}`, [".conf"]).map((file) => reading(file, parsePluginEntry));
}

function filesIn(folder: string, extensions: readonly string[]): string[] {
  try {
    return readDirectoryIfExists(folder)
      .filter(({ name, kind }) => kind !== "directory" && extensions.some((extension) => name.endsWith(extension)))
      .map(({ name }) => `${folder}/${name}`);
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    throw new CniError(code.io, `cannot read network configurations: ${cause.message}`, "", { cause });
  }
}

function reading<T>(file: string, parse: (text: string) => T): T {
  const text = readFile(file);
  try {
    return parse(text);
  } catch (error) {
    throw CniError.from(error).locatedIn(text).within(`${file}: `);
  }
}

function readFile(file: string): string {
  try {
    return readText(file);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new CniError(code.io, `error reading ${file}: ${error.message}`, "", { cause: error });
  }
}
