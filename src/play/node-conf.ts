import { loadNetworkFile } from "../cni/network-folder.ts";
import type { NetworkList } from "../cni/network-list.ts";
import { readDirectoryIfExists } from "../libc/file.ts";
import { dispatcherType } from "./pod-conf.ts";
import { asInput } from "./play-error.ts";

/** A network configuration and the file that it is in. */
export interface NodeConf {
  readonly path: string;
  readonly list: NetworkList;
}

/**
 * What a runtime of this machine would call the dispatcher with: the first file of the folder, by name, that has a plugin of its type. Undefined
 * when none has, or there is no such folder. Throws `InputError` for a file before it that can't be read: it may be the one.
 */
export function findNodeConf(folder: string): NodeConf | undefined {
  const names = readDirectoryIfExists(folder).map(({ name }) => name);
  for (const name of names.filter((each) => /\.(conf|conflist|json)$/.test(each)).sort()) {
    const path = `${folder}/${name}`;
    const list = asInput("", () => loadNetworkFile(path));
    if (list.plugins.some(({ type }) => type === dispatcherType)) return { path, list };
  }
  return undefined;
}
