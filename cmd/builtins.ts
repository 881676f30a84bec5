import type { Plugin } from "../src/cni/plugin.ts";
import { builtin, builtinNames, isBuiltin } from "../src/plugins/table.ts";

/** The name of the plugin that calls the others. */
export const dispatcher = "multus";

/** Every name that the executable answers to as a CNI plugin, sorted. */
export function pluginNames(): readonly string[] {
  return [...builtinNames(), dispatcher].sort();
}

/** True for one of `pluginNames`, without making the list: every start of the process asks this. */
export function isPluginName(name: string): boolean {
  return name === dispatcher || isBuiltin(name);
}

/** The plugin of that name, the dispatcher included; undefined when there is none. */
export function findBuiltin(type: string): Promise<Plugin> | undefined {
  if (type === dispatcher) return import("../src/multus/plugin.ts").then(({ plugin }) => plugin);
  return builtin(type);
}
