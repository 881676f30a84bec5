import { CniError } from "../cni/error.ts";
import { findPlugin } from "../cni/find-plugin.ts";
import { ipamTypeOf } from "../cni/network-list.ts";
import { builtinNames, isBuiltin } from "../plugins/table.ts";
import type { NetworkSource } from "./attachment.ts";
import type { MultusConf } from "./config.ts";

/**
 * What would have to be executed and is not in the config's `binDir` on this machine, one line each: on a node without it the pod would be
 * refused. Networks that were not found are undefined. The IPAM plugin of a foreign plugin is that plugin's own business.
 */
export function missingPlugins(
  { binDir, execPlugins }: MultusConf,
  sources: readonly (Pick<NetworkSource, "list"> | undefined)[],
): string[] {
  const isExecuted = (type: string) => type !== "" && (execPlugins.includes(type) || !isBuiltin(type));
  const types = sources.flatMap((source) =>
    (source?.list.plugins ?? []).map(({ type, config }) => (isExecuted(type) ? type : ipamTypeOf(config))),
  );
  return [...new Set(types)].filter(isExecuted).flatMap((type) => {
    try {
      findPlugin(type, [binDir], builtinNames());
      return [];
    } catch (error) {
      const { message, details } = CniError.from(error);
      return [`${message}, and the pod's node needs it; ${details}`];
    }
  });
}
