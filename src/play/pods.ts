import { ManifestFolder } from "../cluster/manifest-folder.ts";
import { ManifestCluster } from "../cluster/manifests.ts";
import { type Pod } from "../cluster/port.ts";
import { isErrno } from "../libc/errno.ts";
import { makeDirectories, readText, status, writeFile } from "../libc/file.ts";
import { HostPorts } from "./host-ports.ts";
import { asInput, InputError } from "./play-error.ts";

/** Manifests as they were named on the command line, read once. Pods on the node's own network are left out: CNI has nothing to do with them. */
export class PodSources {
  readonly cluster: ManifestCluster;
  readonly pods: readonly Pod[];
  readonly hostPorts: HostPorts;

  /** Throws `InputError` for a path that does not exist, what can't be read, and when there is no pod. */
  constructor(readonly paths: readonly string[]) {
    for (const path of paths) refuseMissing(path);
    // What is written goes with the copies that `copyTo` makes; nothing is written here.
    this.cluster = new ManifestCluster("/dev/null", () => {}, paths);
    const pods = asInput("", () => this.cluster.pods());
    this.pods = pods.filter(({ usesHostNetwork }) => usesHostNetwork !== true);
    this.hostPorts = asInput("", () => new HostPorts(paths));
    if (this.pods.length > 0) return;
    const where = paths.join(", ");
    throw new InputError(
      pods.length > 0
        ? `every Pod in ${where} has hostNetwork: true and gets no network`
        : `no Pod found in ${where}${templateHint(paths)}`,
    );
  }

  /** Whether any of the pods asks for a port of the node. */
  get publishes(): boolean {
    return this.pods.some((pod) => this.hostPorts.of(pod).length > 0);
  }

  /**
   * Copies the files into one folder, in their order: a config can name one folder only, and the originals may change or go. Returns what puts
   * the originals into a text where it names the copies.
   */
  copyTo(folder: string): (text: string) => string {
    makeDirectories(folder, 0o755);
    const originals = new Map<string, string>();
    for (const [index, path] of this.cluster.paths().entries()) {
      const name = path.slice(path.lastIndexOf("/") + 1);
      const extension = /\.(ya?ml|json)$/.test(name) ? "" : ".yaml";
      const copy = `${folder}/${String(index).padStart(4, "0")}-${name}${extension}`;
      writeFile(copy, readText(path), 0o644);
      originals.set(copy, path);
    }
    originals.set(folder, this.paths.join(", "));
    return (text) => [...originals].reduce((sum, [copy, path]) => sum.replaceAll(copy, path), text);
  }
}

/** Kinds whose pods a controller of the cluster makes from a template. */
const templateKinds = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"] as const;

function templateHint(paths: readonly string[]): string {
  const folder = new ManifestFolder(paths, true);
  for (const kind of templateKinds) {
    const [found] = folder.list(kind, () => {});
    if (found !== undefined)
      return `: a ${kind} (${found.source}) needs a controller that makes its pods; write its template as a Pod`;
  }
  return "";
}

function refuseMissing(path: string): void {
  if (path === "-") throw new InputError("-: manifests are not read from standard input; name a file or a folder");
  try {
    status(path);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
    throw new InputError(`${path}: no such file or directory`, { cause: error });
  }
}
