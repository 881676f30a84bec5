import type { Plugin } from "../cni/plugin.ts";

/** Every plugin and IPAM plugin that is built in, by the name that configs and links use; each is loaded when first called. */
const table: Readonly<Record<string, () => Promise<{ readonly plugin: Plugin }>>> = {
  bridge: () => import("./bridge/plugin.ts"),
  "host-local": () => import("../ipam/host-local/plugin.ts"),
  ipvlan: () => import("./ipvlan/plugin.ts"),
  loopback: () => import("./loopback/plugin.ts"),
  macvlan: () => import("./macvlan/plugin.ts"),
  passthru: () => import("./passthru/plugin.ts"),
  portmap: () => import("./portmap/plugin.ts"),
  sbr: () => import("./sbr/plugin.ts"),
  static: () => import("../ipam/static/plugin.ts"),
  tuning: () => import("./tuning/plugin.ts"),
  vlan: () => import("./vlan/plugin.ts"),
  whereabouts: () => import("../ipam/whereabouts/plugin.ts"),
};

/** The built-in names, in no particular order. */
export function builtinNames(): string[] {
  return Object.keys(table);
}

/** True when a plugin of that name is built in. */
export function isBuiltin(type: string): boolean {
  return Object.hasOwn(table, type);
}

/** The built-in plugin of that name; undefined when there is none, and then CNI_PATH is searched. */
export function builtin(type: string): Promise<Plugin> | undefined {
  if (!isBuiltin(type)) return undefined;
  return table[type]?.().then(({ plugin }) => plugin);
}
