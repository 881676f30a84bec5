import type { NetworkList } from "../src/cni/network-list.ts";
import { UnreadKeys } from "../src/cni/unread-keys.ts";
import type { MultusConf } from "../src/multus/config.ts";
import { dispatcherConf } from "../src/play/pod-conf.ts";

/** A dispatcher's config, and a line for each of its keys that nobody reads and that comes near one that is read. */
export interface ReadDispatcher {
  readonly conf: MultusConf;
  readonly hints: readonly string[];
}

/** The dispatcher of a network; undefined when it has none. Throws `CniError` for a config that ADD would refuse. */
export function readDispatcher(list: NetworkList): ReadDispatcher | undefined {
  const keys = new UnreadKeys();
  const conf = keys.watch(() => dispatcherConf(list));
  return conf && { conf, hints: keys.hints() };
}
