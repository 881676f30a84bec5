import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadNetworkFile } from "../cni/network-folder.ts";
import type { NetworkList } from "../cni/network-list.ts";
import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonObject, type JsonValue, parse } from "../json/value.ts";
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

/** What runtimes load (go-cni, ocicni), all of them in one order by file name. */
const extensions = [".conf", ".conflist", ".json"];

/** Multus' own generated files, whatever their content may be by now. */
const generatedPrefix = "00-multus";

const dispatcherTypes = ["multus", "multus-shim"];

/**
 * The config that the runtime would take if polynic were not there: the first by file name, or the one of the given name. Never one that
 * leads to a dispatcher at any depth: it would call itself. A first file that can't be read is not passed over, since it may just be
 * being written: there is no primary then.
 */
export function findPrimary(folder: string, fileName = ""): PrimarySearch {
  const names = fileName === "" ? candidates(folder) : [fileName];
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

/** True when an object of the JSON, at any depth, is a dispatcher's config. */
export function namesDispatcher(value: JsonValue | undefined): boolean {
  if (Array.isArray(value)) return value.some((each: JsonValue) => namesDispatcher(each));
  if (!isJsonObject(value)) return false;
  const type = getField(value, "type");
  if (typeof type === "string" && dispatcherTypes.includes(type)) return true;
  return Object.values(value).some((each) => namesDispatcher(each));
}

const selfReason = "a config of the dispatcher itself";

function candidates(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith(".") && !name.startsWith(generatedPrefix))
    .filter((name) => extensions.some((extension) => name.endsWith(extension)))
    .sort();
}

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
