import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonValue } from "../json/value.ts";
import type { Netns } from "../netns/netns.ts";
import type { Session } from "./session.ts";

/**
 * Does while a request to the API server is on its way what every pod will need: loads the plugins of the node's own networks, and opens
 * the sockets that links are made through, in the pod and on the node. Nothing is waited for, and a plugin that can't be loaded is
 * found out where it is needed.
 */
export function makeReady({ conf, runtime }: Session, pod: Netns): void {
  const types = new Set<string>();
  for (const delegate of conf.delegates) addTypes(types, delegate);
  for (const type of types) {
    if (!runtime.execPlugins.has(type)) runtime.builtin(type)?.catch(() => {});
  }
  pod.connect();
  runtime.host.connect();
}

/** The plugin types of a config or of a list of configs, with their IPAM plugins. */
function addTypes(types: Set<string>, config: JsonValue): void {
  if (!isJsonObject(config)) return;
  const type = getField(config, "type");
  if (typeof type === "string") types.add(type);
  addTypes(types, getField(config, "ipam") ?? null);
  const plugins = getField(config, "plugins");
  if (Array.isArray(plugins)) for (const plugin of plugins as readonly JsonValue[]) addTypes(types, plugin);
}
