import { readDirectory } from "../libc/file.ts";

/** What runtimes load (go-cni, ocicni), all of them in one order by file name. */
const extensions = [".conf", ".conflist", ".json"];

/** What the generated configs of a dispatcher begin with, Multus' own too, whatever their content may be by now. */
const generatedPrefix = "00-multus";

/**
 * The names of the files in a folder such as /etc/cni/net.d that a runtime looks at, in its order: it takes the first. Empty when there is
 * none. Throws `SystemError` when the folder can't be read or is not there.
 */
export function runtimeConfs(folder: string): string[] {
  return readDirectory(folder)
    .filter(({ name, kind }) => kind !== "directory" && !name.startsWith("."))
    .map(({ name }) => name)
    .filter((name) => extensions.some((extension) => name.endsWith(extension)))
    .sort();
}

/** True for the file name of a config that an install generates in front of the node's default network. */
export function isGeneratedConf(name: string): boolean {
  return name.startsWith(generatedPrefix);
}
