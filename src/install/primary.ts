import { readFileSync } from "node:fs";
import { join } from "node:path";
import { namesDispatcher } from "../cni/dispatcher-type.ts";
import { loadNetworkFile } from "../cni/network-folder.ts";
import type { NetworkList } from "../cni/network-list.ts";
import { isGeneratedConf, runtimeConfs } from "../cni/runtime-folder.ts";
import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonObject, parse } from "../json/value.ts";
import { messageOf } from "../words/message.ts";

/** The default network as the node had it before: what the dispatcher is put in front of. */
export interface Primary {
  readonly file: string;
  /** With the plugins of the folder of its name, which the runtime would run too. */
  readonly list: NetworkList;
  /** What is to be the delegate: as written, or with those plugins. */
  readonly config: JsonObject;
}

/** A primary, or why there is none: one line for each file that was passed over. */
export type PrimarySearch =
  | { readonly kind: "found"; readonly primary: Primary }
  | { readonly kind: "none"; readonly reasons: readonly string[] };

/**
 * The config that the runtime would take if polynic were not there: the first by file name, or the one of the given name. Never one that
 * leads to a dispatcher at any depth: it would call itself. A first file that can't be read is not passed over, since it may just be
 * being written: there is no primary then.
 */
export function findPrimary(folder: string, fileName = ""): PrimarySearch {
  const names = fileName === "" ? runtimeConfs(folder).filter((name) => !isGeneratedConf(name)) : [fileName];
  const reasons: string[] = [];
  for (const name of names) {
    const file = join(folder, name);
    const outcome = readPrimary(file);
    if (typeof outcome !== "string") return { kind: "found", primary: outcome };
    reasons.push(`${file}: ${outcome}`);
    if (!outcome.startsWith(selfReason)) return { kind: "none", reasons };
  }
  return { kind: "none", reasons: reasons.length > 0 ? reasons : [`there is no CNI config in ${folder}`] };
}

const selfReason = "a config of the dispatcher itself";

/** The primary of a file, or why it is none. */
function readPrimary(file: string): Primary | string {
  try {
    const { value } = parse(readFileSync(file, "utf8"));
    if (!isJsonObject(value)) return "expected a JSON object";
    if (namesDispatcher(value)) return `${selfReason}: it would be its own delegate`;
    const list = loadNetworkFile(file);
    const inlined = getField(value, "plugins");
    const isWhole = !Array.isArray(inlined) || inlined.length === list.plugins.length;
    return { file, list, config: isWhole ? value : asObject(list.text) };
  } catch (error) {
    return messageOf(error);
  }
}

function asObject(text: string): JsonObject {
  const { value } = parse(text);
  if (isJsonObject(value)) return value;
  throw new TypeError("a list is an object");
}
