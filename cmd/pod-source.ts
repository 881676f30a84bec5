import { ManifestCluster } from "../src/cluster/manifests.ts";
import type { NetworkList } from "../src/cni/network-list.ts";
import type { Cluster, Pod } from "../src/cluster/port.ts";
import { statusIfExists } from "../src/libc/file.ts";
import { silentLogger } from "../src/log/logger.ts";
import type { MultusConf } from "../src/multus/config.ts";
import { defaultConf } from "../src/play/default-conf.ts";
import type { HostPorts } from "../src/play/host-ports.ts";
import { findNodeConf } from "../src/play/node-conf.ts";
import { declaresPorts, readConf, toList } from "../src/play/pod-conf.ts";
import { asInput } from "../src/play/play-error.ts";
import { PodSources } from "../src/play/pods.ts";
import { layout } from "../src/play/state.ts";
import { type ReadDispatcher, readDispatcher } from "./dispatcher.ts";
import { UsageError } from "./usage-error.ts";

/** Where runtimes look for their networks. */
const defaultFolder = "/etc/cni/net.d";

/** Where pods and networks are to be looked up, and by which config of the dispatcher. */
export interface PodSourceRequest {
  readonly root: string;
  /** Manifest files and directories; they win over what `conf` names. */
  readonly paths: readonly string[];
  /** Path of the dispatcher's config; "" for the node's own, or the built-in one. */
  readonly conf: string;
  /** Addresses of the built-in config's default network. */
  readonly podCidr: string;
  /** Path of the credentials for an API server; "" for what `conf` names. */
  readonly kubeconfig: string;
  /** For the server's log: the verb that is called. */
  readonly verb: string;
}

/** Pods and their networks as a verb of the command line looks at them. */
export class PodSource implements Disposable {
  private constructor(
    /** What the caller should know of `conf`; "" for nothing. */
    readonly note: string,
    private readonly conf: MultusConf,
    readonly cluster: Cluster,
    /** All pods; undefined where they can only be asked for by name. */
    private readonly pods: readonly Pod[] | undefined,
    private readonly close: () => void = () => {},
    private readonly hostPorts?: HostPorts,
  ) {}

  /** Throws `UsageError` and `InputError` for what the caller has got wrong. Of an API server nothing is asked yet. */
  static async open(request: PodSourceRequest): Promise<PodSource> {
    const sources = request.paths.length > 0 ? new PodSources(request.paths) : undefined;
    const { conf, note, isBuiltIn, takesPorts } = chooseConf(request, sources?.publishes === true);
    if (sources !== undefined) {
      const { cluster, pods, hostPorts } = sources;
      return new PodSource(note, conf, cluster, pods, () => {}, takesPorts ? hostPorts : undefined);
    }
    if (request.kubeconfig === "" && !isBuiltIn && conf.manifests !== undefined) {
      const cluster = new ManifestCluster(conf.manifests);
      return new PodSource(note, conf, cluster, cluster.pods());
    }
    const kubeconfig = request.kubeconfig || conf.kubeconfig || usersKubeconfig();
    const { KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT } = process.env;
    if (kubeconfig === "" && (KUBERNETES_SERVICE_HOST ?? "") === "") {
      throw new UsageError(
        'name the manifests with -f FILE, an API server with --kubeconfig FILE or $KUBECONFIG, or a --conf FILE that has the key "manifests" or "kubeconfig"',
      );
    }
    const { openApi } = await import("../src/cluster/api.ts");
    const { verb } = request;
    const cluster = openApi({
      kubeconfig,
      timeoutMs: conf.apiTimeoutMs,
      verb,
      environment: { KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT },
      log: silentLogger,
    });
    return new PodSource(note, conf, cluster, undefined, () => cluster[Symbol.dispose]());
  }

  /** The config with what a runtime would send for that pod: the ports of the node that its containers ask for. */
  confFor(pod: Pod): MultusConf {
    const portMappings = this.hostPorts?.of(pod) ?? [];
    if (portMappings.length === 0) return this.conf;
    return { ...this.conf, runtimeConfig: { ...this.conf.runtimeConfig, portMappings } };
  }

  /** The pod of that name, "namespace/name" or a name in namespace default; without a name all pods, of manifests only. */
  async choose(wanted: string | undefined): Promise<readonly Pod[]> {
    if (wanted !== undefined) return [await this.find(wanted)];
    if (this.pods === undefined)
      throw new UsageError("name the pod as NAMESPACE/NAME: of an API server one is looked at");
    return this.pods;
  }

  /** As `choose`, of one pod. */
  async find(wanted: string): Promise<Pod> {
    const [first = "", second] = wanted.split("/");
    const [namespace, name] = second === undefined ? ["default", first] : [first, second];
    if (this.pods === undefined) {
      const pod = await this.cluster.getPod(namespace, name);
      if (pod !== undefined) return pod;
      throw new UsageError(`there is no pod ${namespace}/${name} in the cluster`);
    }
    const pod = this.pods.find((each) => each.namespace === namespace && each.name === name);
    if (pod !== undefined) return pod;
    const names = this.pods.map((each) => `${each.namespace}/${each.name}`).join(", ");
    throw new UsageError(`no pod ${namespace}/${name} in the manifests; they have ${names || "none"}`);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

interface ChosenConf {
  readonly conf: MultusConf;
  readonly note: string;
  readonly isBuiltIn: boolean;
  /** It declares the capability portMappings: a runtime would tell it of them. */
  readonly takesPorts: boolean;
}

/** The config that was named; else, for pods of a cluster, the one that this node has; else the built-in one. */
function chooseConf({ conf: named, paths, root, podCidr }: PodSourceRequest, publishes: boolean): ChosenConf {
  if (named !== "") return chosen(named, readConf(named), "", false);
  const folder = process.env["NETCONFPATH"] || defaultFolder;
  const found = paths.length > 0 ? undefined : findNodeConf(folder);
  if (found !== undefined) return chosen(found.path, found.list, `by the config of this node, ${found.path}`, false);
  const builtIn = toList(defaultConf({ root, manifests: layout.manifests(root, 1), podCidr, publishes }));
  const note =
    paths.length > 0
      ? ""
      : `no file in ${folder} has a plugin of type multus: the default network is that of polynic play; name the config of the pod's node with --conf`;
  return chosen("", builtIn, note, true);
}

function chosen(path: string, list: NetworkList, note: string, isBuiltIn: boolean): ChosenConf {
  const { conf, hints } = dispatcherOf(path, list);
  const notes = [note, ...hints.map((hint) => `${path}: ${hint}`)].filter((each) => each !== "");
  return { conf, note: notes.join("; "), isBuiltIn, takesPorts: declaresPorts(list) };
}

function dispatcherOf(path: string, list: NetworkList): ReadDispatcher {
  const dispatcher = asInput(`${path}: `, () => readDispatcher(list));
  if (dispatcher !== undefined) return dispatcher;
  throw new UsageError(
    `${path}: network ${list.name} has no plugin of type multus, which is what reads pods' networks`,
  );
}

/** What kubectl would take: the first of $KUBECONFIG that is there, or the one of the home folder; "" for none. */
function usersKubeconfig(): string {
  const { KUBECONFIG = "", HOME = "" } = process.env;
  const candidates = KUBECONFIG === "" ? [`${HOME}/.kube/config`] : KUBECONFIG.split(":");
  return candidates.find((path) => path !== "" && statusIfExists(path) !== undefined) ?? "";
}
