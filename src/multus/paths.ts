/** Where the dispatcher keeps its state unless the config's "cniDir" says otherwise: Multus' own folder. */
export const defaultCniDir = "/var/lib/cni/multus";

/** The journal of a container: Multus' own file name and place, so that either can delete what the other attached. */
export function journalPath(cniDir: string, containerId: string): string {
  return `${cniDir}/${containerId}`;
}

/** Where the locks of containers lie. */
export function locksFolder(cniDir: string): string {
  return `${cniDir}/locks`;
}

/** The lock of a container. */
export function lockPath(cniDir: string, containerId: string): string {
  return `${locksFolder(cniDir)}/${containerId}`;
}
