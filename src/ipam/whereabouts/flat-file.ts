import { CniError, code } from "../../cni/error.ts";
import { JsonError } from "../../json/error.ts";
import { isJsonObject, parse } from "../../json/value.ts";
import { SystemError } from "../../libc/errno.ts";
import { readTextIfExists, statusIfExists } from "../../libc/file.ts";
import { decodeOptions, mergeOptions, misspelt, type Options } from "./options.ts";

const fileName = "whereabouts.conf";
/** Where whereabouts looks, in this order, behind `configuration_path`. */
const folders = [
  "/etc/kubernetes/cni/net.d/whereabouts.d",
  "/etc/cni/net.d/whereabouts.d",
  "/host/etc/cni/net.d/whereabouts.d",
];

/** Options completed by the node's flat file, which file that was, "" when there is none, and what of it is worth a warning. */
export interface Completed {
  readonly options: Options;
  readonly file: string;
  readonly warnings: readonly string[];
}

/**
 * The options of a network with those of the node's flat file where they say nothing: the first file that exists counts, and no other is
 * read. Unlike in whereabouts there need not be any. `configuration_path` names the file, or its folder. Throws `CniError` code 7 for a file
 * that can't be understood, 5 for one that can't be read.
 */
export function completeOptions(own: Options): Completed {
  const named = own.configuration_path ?? "";
  for (const path of named === "" ? places : [fileAt(named), ...places]) {
    const text = read(path);
    if (text === undefined) continue;
    const { options, warnings } = understand(text, path);
    return { options: mergeOptions(own, options), file: path, warnings };
  }
  return { options: own, file: "", warnings: [] };
}

const places = folders.map((folder) => `${folder}/${fileName}`);

function fileAt(path: string): string {
  return statusIfExists(path)?.kind === "directory" ? `${path.replace(/\/+$/, "")}/${fileName}` : path;
}

function read(path: string): string | undefined {
  try {
    return readTextIfExists(path);
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    throw new CniError(code.io, `whereabouts' flat file can't be read: ${cause.message}`, "", { cause });
  }
}

function understand(text: string, path: string): Omit<Completed, "file"> {
  try {
    const { value } = parse(text);
    return { options: decodeOptions(value, path), warnings: isJsonObject(value) ? misspelt(value, path) : [] };
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new CniError(code.invalidConfig, `whereabouts' flat file ${path}: ${cause.message}`, "", { cause });
  }
}
