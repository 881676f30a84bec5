// A node of a real cluster: pods and networks are objects of the API server, everything else is as on `MultusSite`.
import { threadId } from "node:worker_threads";
import { linkToApi } from "./api-link.ts";
import { apiAddress, type ApiServerFacts } from "./api-server.ts";
import { AuditLog } from "./audit-log.ts";
import { type Account, kubeconfig } from "./cluster.ts";
import type { CniCall, CniOutcome } from "./cni-caller.ts";
import { callCni } from "./cni-caller.ts";
import { KubeAdmin, type KubeJson } from "./kube-admin.ts";
import { type Json, MultusSite, type SiteCall, type SitePod } from "./multus-site.ts";

let count = 0;

const statusKey = "k8s.v1.cni.cncf.io/network-status";

export interface StoredEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
}

export class ApiSite implements Disposable {
  /** Every object of the site is in it, so that sites do not see each other's. */
  readonly namespace = `site-${threadId}-${count++}`;
  readonly admin: KubeAdmin;
  readonly audit: AuditLog;
  /** What is no object of the cluster: the node, state folders, what is left over. */
  readonly local = new MultusSite();
  #pods = 0;

  private constructor(readonly api: ApiServerFacts) {
    this.admin = new KubeAdmin(api);
    this.audit = new AuditLog(api);
    linkToApi(this.local.node);
  }

  static async make(api: ApiServerFacts): Promise<ApiSite> {
    const site = new ApiSite(api);
    await site.admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: site.namespace } });
    await site.useAccount("polynic");
    return site;
  }

  /** Address of the server as the node reaches it. */
  get server(): string {
    return `https://${apiAddress}:${this.api.port}`;
  }

  /** Where `conf` looks for its credentials. */
  get kubeconfigPath(): string {
    return this.local.path("kubeconfig");
  }

  /** Writes the kubeconfig for a service account, with `server` in place of the real one's address. */
  async useAccount(account: Account, server = this.server): Promise<void> {
    this.useUser({ token: await this.admin.token("kube-system", account) }, server);
  }

  /** Writes the kubeconfig for a user entry. */
  useUser(user: Json, server = this.server, ca: string | undefined = this.api.ca): void {
    this.local.folder.write("kubeconfig", kubeconfig({ server, user, ...(ca === undefined ? {} : { ca }) }));
  }

  /** The dispatcher's config: `MultusSite.conf` with the API server in place of manifests. */
  conf(over: Json = {}): Json {
    const { manifests: _, ...rest } = this.local.conf();
    return { ...rest, kubeconfig: this.kubeconfigPath, ...over };
  }

  /** Creates a NetworkAttachmentDefinition. */
  async network(
    name: string,
    config: Json | string,
    annotations: Readonly<Record<string, string>> = {},
  ): Promise<KubeJson> {
    const object = this.networkObject(name, config, annotations);
    await this.admin.create(object);
    return object;
  }

  networkObject(name: string, config: Json | string, annotations: Readonly<Record<string, string>> = {}): KubeJson {
    const text = typeof config === "string" ? config : JSON.stringify(config);
    return {
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { namespace: this.namespace, name, annotations },
      ...(text === "" ? {} : { spec: { config: text } }),
    };
  }

  /** Creates a pod and makes its sandbox. `networks` is the annotation's value; anything but a text is written as JSON. */
  async pod(networks: unknown = "", more: Readonly<Record<string, string>> = {}): Promise<SitePod> {
    const number = this.#pods++;
    const name = `pod-${number}`;
    const value = typeof networks === "string" ? networks : JSON.stringify(networks);
    const annotations = { ...(value === "" ? {} : { "k8s.v1.cni.cncf.io/networks": value }), ...more };
    const { metadata } = await this.admin.create(this.podObject(name, annotations));
    return {
      namespace: this.namespace,
      name,
      uid: String(metadata["uid"]),
      containerId: `c${number}-${this.local.folder.path.slice(-6)}`,
      netns: this.local.node.pod(),
    };
  }

  podObject(name: string, annotations: Readonly<Record<string, string>> = {}): KubeJson {
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace: this.namespace, name, annotations },
      spec: { nodeName: "node-1", containers: [{ name: "main", image: "none" }] },
    };
  }

  async deletePod({ name }: SitePod): Promise<void> {
    await this.admin.delete(this.podObject(name));
  }

  call(command: string, pod: SitePod, over: SiteCall = {}): Promise<CniOutcome> {
    return callCni(this.cniCall(command, pod, over));
  }

  cniCall(command: string, pod: SitePod, over: SiteCall = {}): CniCall {
    const { conf = {} } = over;
    return this.local.cniCall(command, pod, {
      ...over,
      conf: typeof conf === "string" ? conf : JSON.stringify(this.conf(conf)),
    });
  }

  /** The pod's annotations as the server has them. */
  async annotations({ name }: SitePod): Promise<Readonly<Record<string, string>>> {
    const { metadata } = await this.admin.get(this.podObject(name));
    return (metadata["annotations"] ?? {}) as Record<string, string>;
  }

  /** The value of the network-status annotation as JSON; undefined when there is none. */
  async status(pod: SitePod): Promise<Json[] | undefined> {
    const text = (await this.annotations(pod))[statusKey];
    return text === undefined ? undefined : (JSON.parse(text) as Json[]);
  }

  /** "Warning FailedToAttach <message>", sorted: events of one second have no order. */
  async events({ uid }: SitePod): Promise<string[]> {
    const path = `/api/v1/namespaces/${this.namespace}/events?fieldSelector=involvedObject.uid=${uid}`;
    const { items } = (await this.admin.send("GET", path)) as unknown as { items: StoredEvent[] };
    return items.map(({ type, reason, message }) => `${type} ${reason} ${message}`).sort();
  }

  [Symbol.dispose](): void {
    this.local[Symbol.dispose]();
  }
}
