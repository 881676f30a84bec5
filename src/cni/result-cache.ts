import { anyObject, array, decode, getField, optional, stringList, struct, text } from "../json/struct.ts";
import { stringify } from "../json/stringify.ts";
import { isJsonObject, type JsonObject, parse } from "../json/value.ts";
import { SystemError } from "../libc/errno.ts";
import {
  makeDirectories,
  readDirectoryIfExists,
  readText,
  readTextIfExists,
  replaceFile,
  temporaryOf,
  unlinkIfExists,
} from "../libc/file.ts";
import { parseArgs } from "./args.ts";
import { CniError, code } from "./error.ts";
import { validateContainerId, validateInterfaceName, validateNetworkName } from "./names.ts";
import { decodeResult } from "./result-decode.ts";
import { encodeResult } from "./result-encode.ts";
import type { Result } from "./result.ts";
import { type CniVersion, impliedVersion } from "./version.ts";

/** What names one attachment of one network. */
export interface AttachmentKey {
  readonly networkName: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** What is remembered of an ADD. */
export interface CachedAttachment extends AttachmentKey {
  readonly netnsPath: string;
  /** CNI_ARGS as text. */
  readonly args: string;
  readonly capabilityArgs: JsonObject;
  /** The text of the network list; "" where an old format kept none. */
  readonly config: string;
  readonly result: Result;
}

/** All attachments that a cache holds, and one line for each file that is none. */
export interface CacheListing {
  readonly attachments: readonly CachedAttachment[];
  readonly unreadable: readonly string[];
}

export const defaultCacheFolder = "/var/lib/cni";

const kind = "cniCacheV1";
const temporarySuffix = ".tmp";

const schema = struct({
  containerId: text(),
  config: optional(text(), ""),
  ifName: text(),
  networkName: text(),
  netns: optional(text(), ""),
  cniArgs: optional(array(stringList()), []),
  capabilityArgs: optional(anyObject(), {}),
  result: optional(anyObject()),
});

/**
 * libcni's cache of results: one file per attachment in `<folder>/results`, readable by libcni and CRI-O and written so that a crash leaves
 * either the old file or the new one.
 */
export class ResultCache {
  readonly #folder: string;

  constructor(folder: string = defaultCacheFolder) {
    this.#folder = `${folder}/results`;
  }

  /** The file of an attachment. Throws `CniError` for names that the specification refuses: they could lead out of the folder. */
  pathOf({ networkName, containerId, ifName }: AttachmentKey): string {
    validateNetworkName(networkName);
    validateContainerId(containerId);
    validateInterfaceName(ifName);
    return `${this.#folder}/${networkName}-${containerId}-${ifName}`;
  }

  /** Remembers an attachment, its result in `version`. Throws `CniError` code 5 when the file can't be written. */
  write(attachment: CachedAttachment, version: CniVersion): void {
    const path = this.pathOf(attachment);
    const content = stringify(toJson(attachment, version));
    touching(() => {
      makeDirectories(this.#folder, 0o700);
      // A power cut ends the containers too, and DEL does without a result that it can't read.
      replaceFile(path, content, 0o600, temporaryOf(path), false);
    });
  }

  /**
   * What is remembered of an attachment, from either of libcni's formats; undefined when nothing is. Throws `CniError` code 6 for a file
   * that is neither, 5 for one that can't be read.
   */
  read(key: AttachmentKey): CachedAttachment | undefined {
    const path = this.pathOf(key);
    const content = touching(() => readTextIfExists(path));
    return content === undefined ? undefined : fromText(content, path, key);
  }

  /** Forgets an attachment, and what a killed write of it left; false when nothing was remembered. */
  delete(key: AttachmentKey): boolean {
    const path = this.pathOf(key);
    return touching(() => {
      unlinkIfExists(temporaryOf(path));
      return unlinkIfExists(path);
    });
  }

  /**
   * Every attachment, of every container or of one, by file name. Files of the old format, and torn ones, say too little to be listed: a
   * line tells of each.
   */
  list(containerId?: string): CacheListing {
    const attachments: CachedAttachment[] = [];
    const unreadable: string[] = [];
    for (const { name, kind: entry } of touching(() => readDirectoryIfExists(this.#folder))) {
      if (entry === "directory" || name.startsWith(".") || name.endsWith(temporarySuffix)) continue;
      // Of a thousand files only those are read that can be the container's.
      if (containerId !== undefined && !name.includes(`-${containerId}-`)) continue;
      const path = `${this.#folder}/${name}`;
      try {
        const text = touching(() => readText(path));
        const attachment = fromText(text, path);
        // The name alone does not tell: network "a-b" of container "c" looks like network "a" of container "b".
        if (containerId === undefined || attachment.containerId === containerId) attachments.push(attachment);
      } catch (error) {
        unreadable.push(CniError.from(error).message);
      }
    }
    return { attachments, unreadable };
  }
}

/** Keys in the order in which libcni's structure has them; it leaves out what is empty. */
function toJson(attachment: CachedAttachment, version: CniVersion): JsonObject {
  const { containerId, ifName, networkName, netnsPath, capabilityArgs } = attachment;
  const { pairs } = parseArgs(attachment.args);
  return {
    kind,
    containerId,
    config: new TextEncoder().encode(attachment.config).toBase64(),
    ifName,
    networkName,
    ...(netnsPath !== "" && { netns: netnsPath }),
    ...(pairs.length > 0 && { cniArgs: pairs }),
    ...(Object.keys(capabilityArgs).length > 0 && { capabilityArgs }),
    result: encodeResult(attachment.result, version),
  };
}

function fromText(content: string, path: string, key?: AttachmentKey): CachedAttachment {
  try {
    const { value } = parse(content);
    if (isJsonObject(value) && getField(value, "kind") === kind) return fromJson(value);
    if (key === undefined) throw new CniError(code.decoding, "it does not say whose result it is");
    return {
      ...key,
      netnsPath: "",
      args: "",
      capabilityArgs: {},
      config: "",
      result: decodeResult(value, impliedVersion),
    };
  } catch (cause) {
    const { message } = CniError.from(cause);
    throw new CniError(code.decoding, `cannot use cached result ${path}: ${message}`, "", { cause });
  }
}

function fromJson(value: JsonObject): CachedAttachment {
  const { containerId, ifName, networkName, netns, cniArgs, capabilityArgs, config, result } = decode(schema, value);
  return {
    networkName,
    containerId,
    ifName,
    netnsPath: netns,
    args: argsText(cniArgs),
    capabilityArgs,
    config: new TextDecoder().decode(Uint8Array.fromBase64(config)),
    result: decodeResult(result ?? {}, impliedVersion),
  };
}

function argsText(pairs: readonly (readonly string[])[]): string {
  let args = "";
  for (const [name = "", argument = ""] of pairs) args += `${args === "" ? "" : ";"}${name}=${argument}`;
  return args;
}

function touching<T>(access: () => T): T {
  try {
    return access();
  } catch (cause) {
    if (!(cause instanceof SystemError)) throw cause;
    const details = cause.code === "EACCES" ? "it is for root alone: run as root" : "";
    throw new CniError(code.io, `result cache: ${cause.message}`, details, { cause });
  }
}
