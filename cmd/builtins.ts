import type { Plugin } from "../src/cni/plugin.ts";
import { builtin, builtinNames } from "../src/plugins/table.ts";

/** Every name that the executable answers to as a CNI plugin. */
export const pluginNames: readonly string[] = builtinNames;

/** The plugin of that name, the dispatcher included; undefined when there is none. */
export function findBuiltin(type: string): Promise<Plugin> | undefined {
  return builtin(type);
}
