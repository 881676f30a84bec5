import type { Environment } from "../../cni/environment.ts";
import { readTextIfExists } from "../../libc/file.ts";

/** What whereabouts' installer writes beside the flat file. */
const installed = "/etc/cni/net.d/whereabouts.d/nodename";

/** This node's name as whereabouts finds it: $NODENAME, the file `nodename` in `configuration_path` or beside the flat file, the host's name. */
export function nodeName(environment: Environment, configurationPath: string): string {
  const given = environment["NODENAME"] ?? "";
  if (given !== "") return given;
  const paths = configurationPath === "" ? [] : [`${configurationPath}/nodename`];
  for (const path of [...paths, installed, "/etc/hostname"]) {
    const name = readTextIfExists(path)?.trim() ?? "";
    if (name !== "") return name;
  }
  return "";
}
