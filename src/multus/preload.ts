import { getField } from "../json/struct.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../json/value.ts";
import type { Session } from "./session.ts";

/**
 * Loads the plugins of the node's own networks while a request to the API server is on its way: by the time the answer is here they are
 * too. Nothing is waited for, and what can't be loaded is found out where it is needed.
 */
export function preloadPlugins({ conf, runtime }: Session): void {
  for (const type of new Set(conf.delegates.flatMap(typesOf))) {
    if (!runtime.execPlugins.has(type)) runtime.builtin(type)?.catch(() => {});
  }
}

/** The plugin types of a config or of a list of configs, with their IPAM plugins. */
function typesOf(config: JsonObject): string[] {
  const plugins = getField(config, "plugins");
  const nested = Array.isArray(plugins)
    ? plugins.flatMap((each: JsonValue) => (isJsonObject(each) ? typesOf(each) : []))
    : [];
  const ipam = getField(config, "ipam");
  const own = [config, ipam].flatMap((each) => {
    const type = isJsonObject(each) ? getField(each, "type") : undefined;
    return typeof type === "string" ? [type] : [];
  });
  return [...own, ...nested];
}
