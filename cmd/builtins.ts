import type { Plugin } from "../src/cni/plugin.ts";
import { builtin, builtinNames } from "../src/plugins/table.ts";

const dispatcher = "multus";

/** Every name that the executable answers to as a CNI plugin. */
export const pluginNames: readonly string[] = [...builtinNames, dispatcher].sort();

/** The plugin of that name, the dispatcher included; undefined when there is none. */
export function findBuiltin(type: string): Promise<Plugin> | undefined {
  if (type === dispatcher) return import("../src/multus/plugin.ts").then(({ plugin }) => plugin);
  return builtin(type);
}
