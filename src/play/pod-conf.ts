import { loadNetworkFile } from "../cni/network-folder.ts";
import { parseNetConf } from "../cni/net-conf.ts";
import { type NetworkList, parseNetwork } from "../cni/network-list.ts";
import { getField } from "../json/struct.ts";
import { stringify } from "../json/stringify.ts";
import { isJsonObject, type JsonObject, type JsonValue, parse } from "../json/value.ts";
import { type MultusConf, parseMultusConf } from "../multus/config.ts";
import { asInput } from "./play-error.ts";

/** The plugin type that reads pods' annotations. */
export const dispatcherType = "multus";

/** The network in a file, with its dispatcher's pods and networks looked up in `manifests`. Throws `InputError` that names the file. */
export function readConfWith(path: string, manifests: string): NetworkList {
  const { value } = parse(readConf(path).text);
  return toList(isJsonObject(value) ? withManifests(value, manifests) : {});
}

/** The network in a file. Throws `InputError` that names the file. */
export function readConf(path: string): NetworkList {
  return asInput("", () => loadNetworkFile(path));
}

/** A configuration as a list of plugins. */
export function toList(conf: JsonObject): NetworkList {
  return parseNetwork(stringify(conf));
}

/** The dispatcher's config in a list; undefined when it has none, and pods then get the list's plugins only. Throws `CniError` for a bad one. */
export function dispatcherConf(list: NetworkList): MultusConf | undefined {
  const config = list.plugins.find(({ type }) => type === dispatcherType)?.config;
  if (config === undefined) return undefined;
  return parseMultusConf(parseNetConf({ ...config, name: list.name, cniVersion: list.cniVersion }, "ADD").conf);
}

/** Whether the list's dispatcher is to be told of ports of the node, by the capability portMappings. */
export function declaresPorts(list: NetworkList): boolean {
  const config = list.plugins.find(({ type }) => type === dispatcherType)?.config;
  const capabilities = config === undefined ? undefined : getField(config, "capabilities");
  return isJsonObject(capabilities) && capabilities["portMappings"] === true;
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
