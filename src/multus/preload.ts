import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonValue } from "../json/value.ts";
import type { Session } from "./session.ts";

/**
 * Loads the plugins of the node's own networks while a request to the API server is on its way: by the time the answer is here they are
 * too. Nothing is waited for, and what can't be loaded is found out where it is needed.
 */
export function preloadPlugins({ conf, runtime }: Session): void {
  const types = new Set<string>();
  for (const delegate of conf.delegates) addTypes(types, delegate);
  for (const type of types) {
    if (!runtime.execPlugins.has(type)) runtime.builtin(type)?.catch(() => {});
  }
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
