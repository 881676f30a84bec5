import { SystemError } from "../libc/errno.ts";
import { status } from "../libc/file.ts";
import { CniError, code } from "./error.ts";

/** No directory of CNI_PATH has the plugin, or the file there can't be executed: nothing has run, so there is nothing to take back. */
export class PluginNotStartedError extends CniError {}

/**
 * The executable of a foreign plugin: the first directory of `path` (CNI_PATH) that holds a regular file of that name, symbolic links
 * followed; whether it may be executed shows when it is. Throws `CniError` code 7 for a name that is no plain file name, and
 * `PluginNotStartedError` code 999 when no directory has it: the text lists them.
 */
export function findPlugin(type: string, path: readonly string[]): string {
  if (type === "") throw new CniError(code.invalidConfig, "no plugin name provided", "the config needs a type");
  if (type.includes("/") || type.includes("\0") || type === "." || type === "..") {
    throw new CniError(code.invalidConfig, `invalid plugin name: ${type}`, "expected a plain file name");
  }
  const unreadable: string[] = [];
  for (const directory of path) {
    const file = `${directory.replace(/\/+$/, "")}/${type}`;
    try {
      if (status(file).kind === "file") return file;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (error.code !== "ENOENT") unreadable.push(error.message);
    }
  }
  const message = `failed to find plugin ${JSON.stringify(type)} in path [${path.join(" ")}]`;
  const details =
    path.length === 0 ? "it is not built in, and CNI_PATH names no folder to look in" : unreadable.join("; ");
  throw new PluginNotStartedError(code.internal, message, details);
}
