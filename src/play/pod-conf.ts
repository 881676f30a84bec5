import { loadNetworkFile } from "../cni/network-folder.ts";
import { type NetworkList, parseNetwork } from "../cni/network-list.ts";
import { getField } from "../json/struct.ts";
import { stringify } from "../json/stringify.ts";
import { isJsonObject, type JsonObject, type JsonValue, parse } from "../json/value.ts";

/** The plugin type that reads pods' annotations. */
export const dispatcherType = "multus";

/** The network in a file, with its dispatcher's pods and networks looked up in `manifests`. Throws `CniError` that names the file. */
export function readConfWith(path: string, manifests: string): NetworkList {
  const { value } = parse(loadNetworkFile(path).text);
  return toList(isJsonObject(value) ? withManifests(value, manifests) : {});
}

/** A configuration as a list of plugins. */
export function toList(conf: JsonObject): NetworkList {
  return parseNetwork(stringify(conf));
}

/** The dispatcher's own configuration in a list; undefined when there is none, and pods then get the list's plugins only. */
export function dispatcherConf(list: NetworkList): JsonObject | undefined {
  return list.plugins.find(({ type }) => type === dispatcherType)?.config;
}

/** A chain in short: "macvlan/host-local", "bridge/host-local+tuning". */
export function describeChain(list: NetworkList): string {
  return list.plugins.map(({ type, config }) => type + describeIpam(config)).join("+");
}

function describeIpam(config: JsonObject): string {
  const ipam = getField(config, "ipam");
  const type = isJsonObject(ipam) ? getField(ipam, "type") : undefined;
  return typeof type === "string" && type !== "" ? `/${type}` : "";
}

function withManifests(conf: JsonObject, manifests: string): JsonObject {
  const plugins = getField(conf, "plugins");
  if (Array.isArray(plugins))
    return {
      ...conf,
      plugins: plugins.map((plugin: JsonValue) => (isJsonObject(plugin) ? withManifests(plugin, manifests) : plugin)),
    };
  return getField(conf, "type") === dispatcherType ? { ...conf, manifests } : conf;
}
