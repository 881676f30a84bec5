import { SystemError } from "../libc/errno.ts";
import { readDirectoryIfExists, status } from "../libc/file.ts";
import { nearMisses } from "../words/near-miss.ts";
import { CniError, code, NotBegunError } from "./error.ts";

/**
 * The executable of a foreign plugin: the first directory of `path` (CNI_PATH) that holds a regular file of that name, symbolic links
 * followed; whether it may be executed shows when it is. Throws `CniError` code 7 for a name that is no plain file name, and
 * `NotBegunError` code 999 when no directory has it: the text lists them, the details say which plugins, of `builtinNames` and of those
 * directories, come near the name.
 */
export function findPlugin(type: string, path: readonly string[], builtinNames: readonly string[]): string {
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
  const details = [...unreadable, whatElse(type, path, builtinNames)].join("; ");
  throw new NotBegunError(code.internal, message, details);
}

function whatElse(type: string, path: readonly string[], builtinNames: readonly string[]): string {
  const alike = new Set(nearMisses(type, [...builtinNames, ...path.flatMap(fileNames)]));
  if (alike.size > 0) return `did you mean ${[...alike].join(" or ")}?`;
  if (path.length === 0) return "it is not built in, and CNI_PATH names no folder to look in";
  return "it is not built in: its executable belongs into one of these folders";
}

/** What else lies there only serves a hint: a folder that can't be read was told of before, or holds no plugin for us. */
function fileNames(folder: string): string[] {
  try {
    return readDirectoryIfExists(folder).flatMap(({ name, kind }) => (kind === "directory" ? [] : [name]));
  } catch (error) {
    if (error instanceof SystemError) return [];
    throw error;
  }
}
