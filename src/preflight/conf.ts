import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { isDispatcherType, namesDispatcher } from "../cni/dispatcher-type.ts";
import { loadNetworkFile } from "../cni/network-folder.ts";
import type { NetworkList } from "../cni/network-list.ts";
import { isGeneratedConf, runtimeConfs } from "../cni/runtime-folder.ts";
import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../json/value.ts";
import { failed, type Finding, ok, reasonOf, skipped, warning } from "./finding.ts";

/**
 * Reads the config of a network's dispatcher, which this storey does not know, as ADD does: a line for each key that is likely a slip, undefined
 * for a dispatcher that is not ours. Throws for a config that ADD would refuse.
 */
export type DispatcherReader = (list: NetworkList) => readonly string[] | undefined;

/**
 * What the runtime loads: the first config by file name, who is its default delegate, and what `readKeys` says of it. Returns the dispatcher's own
 * config with it.
 */
export function checkConf(
  folder: string,
  readKeys: DispatcherReader,
): {
  readonly findings: Finding[];
  readonly dispatcher: JsonObject | undefined;
} {
  const names = isFolder(folder) ? runtimeConfs(folder) : [];
  const first = names[0];
  if (first === undefined) {
    const missing = failed("conf-order", `there is no CNI config in ${folder}`, "install the cluster's network plugin");
    return { findings: [missing], dispatcher: undefined };
  }
  const read = readFirst(join(folder, first));
  if ("code" in read) return { findings: [read], dispatcher: undefined };
  const { dispatcher, list } = read;
  if (dispatcher === undefined) return { findings: [notFirst(folder, names)], dispatcher };
  const order = ok("conf-order", `runtimes take ${join(folder, first)}, the dispatcher's`);
  const defaultNetwork = delegate(dispatcher);
  const keys = defaultNetwork.verdict === "ok" ? keysOf(list, join(folder, first), readKeys) : [];
  return {
    findings: [order, twice(names), ...keys, defaultNetwork, itself(dispatcher), readiness(dispatcher)],
    dispatcher,
  };
}

function keysOf(list: NetworkList, path: string, readKeys: DispatcherReader): Finding[] {
  const code = "conf-keys";
  try {
    const hints = readKeys(list);
    if (hints === undefined) return [skipped(code, "the config is that of Multus' thick client")];
    if (hints.length > 0) return [warning(code, hints.join("; "), `correct ${path}`)];
    return [ok(code, "the dispatcher takes its config")];
  } catch (error) {
    return [failed(code, `the dispatcher refuses its config, and every pod: ${reasonOf(error)}`, `correct ${path}`)];
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function readFirst(
  path: string,
): Finding | { readonly dispatcher: JsonObject | undefined; readonly list: NetworkList } {
  try {
    const list = loadNetworkFile(path);
    return { dispatcher: list.plugins.find(({ type }) => isDispatcherType(type))?.config, list };
  } catch (error) {
    const cure = "correct or remove it: runtimes stop at the first file, or pass over it without a word";
    return failed("conf-order", `the first config can't be read: ${reasonOf(error)}`, cure);
  }
}

function notFirst(folder: string, names: readonly string[]): Finding {
  const ours = names.find(isGeneratedConf);
  const first = join(folder, names[0] ?? "");
  if (ours === undefined)
    return failed("conf-order", `runtimes take ${first}, and polynic is not in it`, "run polynic install");
  return failed(
    "conf-order",
    `runtimes take ${first} before ${ours}`,
    `rename ${first} so that it sorts behind ${ours}`,
  );
}

function twice(names: readonly string[]): Finding {
  const ours = names.filter(isGeneratedConf);
  if (ours.length < 2) return ok("conf-single", "there is one config of the dispatcher");
  return warning(
    "conf-single",
    `${ours.join(" and ")} are both there`,
    "remove the one that is not current: the first counts",
  );
}

function delegate(dispatcher: JsonObject): Finding {
  const code = "conf-delegate";
  const clusterNetwork = getField(dispatcher, "clusterNetwork");
  if (typeof clusterNetwork === "string" && clusterNetwork !== "")
    return ok(code, `the default network is clusterNetwork ${clusterNetwork}`);
  const [first] = delegatesOf(dispatcher);
  if (!isJsonObject(first))
    return failed(code, "the dispatcher's config has no delegates and no clusterNetwork", "run polynic install");
  const plugins = getField(first, "plugins");
  const types = (Array.isArray(plugins) ? plugins : [first]).map((each: JsonValue) => typeOf(each)).join("+");
  return ok(code, `the default network is ${JSON.stringify(getField(first, "name") ?? "")} (${types})`);
}

function itself(dispatcher: JsonObject): Finding {
  const code = "conf-self";
  if (!Object.values(dispatcher).some(namesDispatcher)) return ok(code, "no delegate leads back to the dispatcher");
  return failed(
    code,
    "a delegate of the dispatcher is a dispatcher again",
    "run polynic install once the primary's own config is in place",
  );
}

function readiness(dispatcher: JsonObject): Finding {
  const code = "conf-readiness";
  const path = getField(dispatcher, "readinessindicatorfile");
  if (typeof path !== "string" || path === "") return skipped(code, "no readinessindicatorfile is named");
  if (existsSync(path)) return ok(code, `readinessindicatorfile ${path} is there`);
  return failed(
    code,
    `readinessindicatorfile ${path} is not there: no pod gets a network`,
    "look at the default network's own agent on this node",
  );
}

function typeOf(config: JsonValue): string {
  const type = isJsonObject(config) ? getField(config, "type") : undefined;
  return typeof type === "string" ? type : "";
}

function delegatesOf(dispatcher: JsonObject): readonly JsonValue[] {
  const delegates = getField(dispatcher, "delegates");
  return Array.isArray(delegates) ? (delegates as readonly JsonValue[]) : [];
}
