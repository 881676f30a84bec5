const mountPrefix = "/host/";

/** The node's own path of a folder that a container sees under /host, where manifests of Multus and ours mount it; any other is the same. */
export function nodePath(path: string): string {
  return path.startsWith(mountPrefix) ? path.slice(mountPrefix.length - 1) : path;
}
