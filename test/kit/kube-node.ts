// A whole node: a real API server, kubelet, containerd and runc; pods are objects of the cluster, polynic comes by its own manifest.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { indentQuoted } from "../../src/cluster/yaml-quotes.ts";
import { Netns } from "../../src/netns/netns.ts";
import { hasKind } from "../../src/plugins/common/kernel-kind.ts";
import { imageName, polynicImage } from "../../tools/image.ts";
import { type ApiServer, nodeUser, startApiServer } from "./api-server.ts";
import { AuditLog } from "./audit-log.ts";
import { busyboxImage } from "./busybox-image.ts";
import { laneCgroup, makeLaneCgroup } from "./cgroups.ts";
import { kubeconfig, prepareCluster } from "./cluster.ts";
import { runCommand } from "./command.ts";
import { CriNode } from "./cri-node.ts";
import { type Daemon, endDaemons, startDaemon, waitForDaemons } from "./daemon.ts";
import { KubeAdmin, type KubeJson } from "./kube-admin.ts";
import { searchPath } from "./packages.ts";
import { peerTools } from "./peer-tools.ts";

type Json = Readonly<Record<string, unknown>>;

/** What the API server's own service has, first of the range: pods of the node's network reach it there. */
const serviceAddress = "10.96.0.1";
const nodeName = "node1";
const patienceMs = 180_000;
const pollMs = 100;
const annotationKey = "k8s.v1.cni.cncf.io";

/** Settings of the whole machine that kubelet wants otherwise. In this lane they are files: the machine's own stay as they are. */
const kernelSettings: Readonly<Record<string, string>> = {
  "vm/overcommit_memory": "1",
  "vm/panic_on_oom": "0",
  "kernel/panic": "10",
  "kernel/panic_on_oops": "1",
  "kernel/keys/root_maxkeys": "1000000",
  "kernel/keys/root_maxbytes": "25000000",
};

export class KubeNode implements AsyncDisposable {
  readonly admin: KubeAdmin;
  readonly audit: AuditLog;

  private constructor(
    readonly cri: CriNode,
    readonly api: ApiServer,
    private kubelet: Daemon,
  ) {
    this.admin = new KubeAdmin(api);
    this.audit = new AuditLog(api);
  }

  /** Starts all of it; the node has its primary network, and polynic is not on it yet. */
  static async start(cri = new CriNode()): Promise<KubeNode> {
    // As systemd has it on a node: pods may want to see what is mounted later. Nothing of it leaves the lane.
    runCommand(["mount", "--make-rshared", "/"]);
    runCommand(["ip", "addr", "replace", `${serviceAddress}/32`, "dev", "lo"]);
    const options = { port: 443, names: [`IP:${serviceAddress}`], hasNodes: true };
    const [api] = await Promise.all([startApiServer(cri.path("api"), options), cri.start()]);
    await prepareCluster(api);
    const admin = new KubeAdmin(api);
    // What kube-controller-manager would make.
    for (const namespace of ["default", "kube-system"]) {
      await admin.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace } });
      const metadata = { name: "kube-root-ca.crt", namespace };
      await admin.create({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { "ca.crt": api.ca } });
    }
    makeLaneCgroup();
    hideKernelSettings(cri);
    const kubelet = startKubelet(cri, api);
    const node = new KubeNode(cri, api, kubelet);
    await waitForDaemons([kubelet], patienceMs, async () => await node.isRegistered());
    return node;
  }

  /** Another kubelet in place of this one: pods go on, and what it knew by heart, such as pods' tokens, it asks for anew. */
  async restartKubelet(): Promise<void> {
    await endDaemons([this.kubelet], "SIGTERM");
    this.kubelet = startKubelet(this.cri, this.api);
  }

  /** Creates a pod on this node. `networks` is the annotation's value; nothing is waited for. */
  async createPod(name: string, networks = "", namespace = "default"): Promise<KubeJson> {
    const pod = podObject(name, namespace, networks);
    return await this.admin.create(pod);
  }

  /** Waits until the pod is ready and returns it as it is then. Throws with its events when it does not become so. */
  async ready(name: string, namespace = "default"): Promise<KubeJson> {
    return await this.#until(`pod ${name} to be ready`, name, namespace, (pod) => {
      const { conditions = [] } = pod["status"] as { conditions?: readonly { type: string; status: string }[] };
      return conditions.some(({ type, status }) => type === "Ready" && status === "True");
    });
  }

  /** Deletes a pod as a user would, and waits until it is gone. */
  async deletePod(name: string, namespace = "default"): Promise<void> {
    await this.admin.send("DELETE", `/api/v1/namespaces/${namespace}/pods/${name}`, { gracePeriodSeconds: 1 }, [404]);
    const deadline = performance.now() + patienceMs;
    while (await this.find(name, namespace)) {
      if (performance.now() > deadline)
        throw new Error(`pod ${name} is not gone: ${await this.eventsText(name, namespace)}`);
      await Bun.sleep(pollMs);
    }
  }

  /** The pod as the server has it; undefined when it has none. */
  async find(name: string, namespace = "default"): Promise<KubeJson | undefined> {
    const answer = await this.admin.send("GET", `/api/v1/namespaces/${namespace}/pods/${name}`, undefined, [404]);
    return answer.kind === "Pod" ? answer : undefined;
  }

  /** "Normal AddedInterface Add eth0 …", for each event of a pod. */
  async events(name: string, namespace = "default"): Promise<string[]> {
    const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.name=${name}`;
    const { items } = (await this.admin.send("GET", path)) as unknown as {
      items: readonly { type: string; reason: string; message: string }[];
    };
    return items.map(({ type, reason, message }) => `${type} ${reason} ${message}`).sort();
  }

  /**
   * Makes the pod of a DaemonSet of a manifest run here, as its controller would; the node's folders take the place of those it mounts.
   * `args` are added to those of its first container. With `isServed` its containers reach the API server where it is: no kube-proxy leads them
   * there from its service.
   */
  async runDaemonSet(
    file: string,
    name: string,
    args: readonly string[] = this.nodeArgs(),
    isServed = false,
  ): Promise<KubeJson> {
    const set = objectsOf(file).find(({ kind }) => kind === "DaemonSet");
    if (set === undefined) throw new Error(`${file} has no DaemonSet`);
    const { template } = set["spec"] as { template: { spec: Json } };
    const bin = this.cri.path("bin");
    const folders = { "/opt/cni/bin": bin, "/home/kubernetes/bin": bin, "/etc/cni/net.d": this.cri.path("net.d") };
    let text = JSON.stringify({ ...template.spec, nodeName });
    // As an overlay has it: the node's folders, and where a container has them under the node's own names.
    for (const [path, folder] of Object.entries(folders))
      for (const before of ['"path":"', '"mountPath":"', "-dir="])
        text = text.replaceAll(`${before}${path}"`, `${before}${folder}"`);
    const spec = JSON.parse(text) as { containers: { args: string[]; env?: Json[] }[] };
    spec.containers[0]?.args.push(...args);
    if (isServed)
      for (const container of spec.containers)
        (container.env ??= []).push(
          { name: "KUBERNETES_SERVICE_HOST", value: "127.0.0.1" },
          { name: "KUBERNETES_SERVICE_PORT", value: String(this.api.port) },
        );
    const metadata = { name, namespace: "kube-system" };
    return await this.admin.create({ apiVersion: "v1", kind: "Pod", metadata, spec });
  }

  /** What an overlay for this node's folders would add. */
  nodeArgs(): string[] {
    return [
      `--additional-bin-dir=${this.cri.path("bin")}`,
      `--multus-kubeconfig-file-host=${this.cri.path("net.d/multus.d/multus.kubeconfig")}`,
    ];
  }

  /**
   * Creates the objects of an example; its pods run busybox on this node. Where the kernel has no ipvlan, macvlan takes its place: what else
   * the example is about stays.
   */
  async applyExample(...files: readonly string[]): Promise<void> {
    for (const object of files.flatMap(objectsOf)) await this.#createExample(object);
  }

  /** Creates one pod of an example, by its name, and leaves the others. */
  async createExamplePod(file: string, name: string): Promise<void> {
    const object = objectsOf(file).find(({ kind, metadata }) => kind === "Pod" && metadata.name === name);
    if (object === undefined) throw new Error(`${file} has no pod ${name}`);
    await this.#createExample(object);
  }

  async #createExample(object: KubeJson): Promise<void> {
    const { namespace = "default" } = object.metadata;
    if (!["default", "kube-system"].includes(namespace))
      await this.admin.ensure({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    if (object.kind === "Pod") {
      const { spec } = podObject(object.metadata.name ?? "", namespace, "");
      // Nothing makes the service accounts of further namespaces.
      const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace } };
      await this.admin.ensure(account);
      await this.admin.create({ ...object, spec });
    } else await this.admin.create(withoutIpvlan(object));
  }

  /** Makes the image of polynic known to the node, under the name that `npm run image` gives it. */
  async importPolynic(): Promise<void> {
    const path = this.cri.path("polynic.tar");
    writeFileSync(path, polynicImage(imageName));
    await this.cri.runtime.importImage(path);
    rmSync(path);
  }

  /** Waits until `isSo`, with `what` for the message when it never is. */
  async until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + patienceMs;
    while (!(await isSo())) {
      if (performance.now() > deadline) throw new Error(`waited ${patienceMs / 1000} s for ${what}`);
      await Bun.sleep(pollMs);
    }
  }

  /** Waits until nothing of any pod is left on the node, links of these names aside; the message says what is, when something stays. */
  async untilNothingIsLeft(...links: readonly string[]): Promise<void> {
    const left = (): string[] => this.cri.remains().filter((line) => !links.some((name) => line.includes(name)));
    const deadline = performance.now() + patienceMs;
    while (left().length > 0) {
      if (performance.now() > deadline)
        throw new Error(`after ${patienceMs / 1000} s there are still: ${left().join("; ")}`);
      await Bun.sleep(pollMs);
    }
  }

  async eventsText(name: string, namespace: string): Promise<string> {
    return (await this.events(name, namespace)).join("; ");
  }

  /** Keeps the logs where they outlive the lane, for a failed test. */
  keepLogs(): string {
    const kept = mkdtempSync("/tmp/polynic-node-logs-");
    const logs = ["containerd/containerd.log", "multus.log", "kubelet.log", "api/kube-apiserver.log"];
    for (const name of logs)
      if (existsSync(this.cri.path(name))) cpSync(this.cri.path(name), join(kept, name.split("/").at(-1) ?? ""));
    return kept;
  }

  /** Kubelet first, so that it brings nothing back; its folder and all mounts go with the lane. */
  async [Symbol.asyncDispose](): Promise<void> {
    await endDaemons([this.kubelet]);
    await this.cri[Symbol.asyncDispose]();
    await this.api.stop();
  }

  private async isRegistered(): Promise<boolean> {
    const answer = await this.admin.send("GET", `/api/v1/nodes/${nodeName}`, undefined, [404]);
    return answer.kind === "Node";
  }

  async #until(what: string, name: string, namespace: string, isSo: (pod: KubeJson) => boolean): Promise<KubeJson> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const pod = await this.find(name, namespace);
      if (pod !== undefined && isSo(pod)) return pod;
      if (performance.now() > deadline)
        throw new Error(`waited in vain for ${what}: ${await this.eventsText(name, namespace)}`);
      await Bun.sleep(pollMs);
    }
  }
}

/** As kubectl reads them: also where the lines of a quoted value are not indented. */
function objectsOf(file: string): KubeJson[] {
  return [Bun.YAML.parse(indentQuoted(readFileSync(file, "utf8")))].flat() as KubeJson[];
}

function withoutIpvlan(object: KubeJson): KubeJson {
  const config = (object["spec"] as { config?: string } | undefined)?.config;
  if (config === undefined || !config.includes('"ipvlan"') || hasIpvlan()) return object;
  return { ...object, spec: { config: config.replace('"ipvlan"', '"macvlan"').replace('"l2"', '"bridge"') } };
}

function hasIpvlan(): boolean {
  using host = Netns.current();
  return hasKind(host, { kind: "ipvlan" });
}

/** A pod whose container waits until it is told to end. `networks` is the annotation's value. */
export function podObject(name: string, namespace: string, networks: string): KubeJson {
  const annotations = networks === "" ? {} : { [`${annotationKey}/networks`]: networks };
  const command = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, annotations },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 1,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      dnsPolicy: "Default",
      containers: [{ name: "main", image: busyboxImage, imagePullPolicy: "Never", command }],
    },
  };
}

/** The network-status annotation of a pod, as JSON; empty when there is none. */
export function networkStatus({ metadata }: KubeJson): readonly Json[] {
  const annotations = (metadata["annotations"] ?? {}) as Readonly<Record<string, string>>;
  return JSON.parse(annotations[`${annotationKey}/network-status`] ?? "[]") as Json[];
}

function startKubelet(cri: CriNode, api: ApiServer): Daemon {
  const user = {
    "client-certificate": join(api.folder, `${nodeUser}.crt`),
    "client-key": join(api.folder, `${nodeUser}.key`),
  };
  const credentials = cri.write(
    "kubelet.kubeconfig",
    kubeconfig({ server: `https://127.0.0.1:${api.port}`, ca: api.ca, user }),
  );
  mkdirSync(cri.path("static"), { recursive: true });
  const config = cri.write("kubelet.yaml", {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: { anonymous: { enabled: false }, x509: { clientCAFile: join(api.folder, "ca.crt") } },
    containerRuntimeEndpoint: `unix://${cri.runtime.socket}`,
    cgroupDriver: "cgroupfs",
    cgroupRoot: laneCgroup(),
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    evictionHard: { "memory.available": "100Mi" },
    imageGCHighThresholdPercent: 100,
    localStorageCapacityIsolation: false,
    makeIPTablesUtilChains: false,
    serializeImagePulls: false,
    staticPodPath: cri.path("static"),
    fileCheckFrequency: "1s",
    syncFrequency: "10s",
  });
  return startDaemon({
    folder: cri.folder,
    name: "kubelet",
    command: [
      join(peerTools("kubernetes").bin, "kubelet"),
      `--config=${config}`,
      `--kubeconfig=${credentials}`,
      `--hostname-override=${nodeName}`,
      `--root-dir=${cri.path("kubelet")}`,
      `--cert-dir=${cri.path("kubelet-pki")}`,
      "--node-ip=127.0.0.1",
    ],
    env: { PATH: searchPath },
  });
}

function hideKernelSettings(cri: CriNode): void {
  for (const [name, value] of Object.entries(kernelSettings)) {
    const file = cri.write(`setting-${name.replaceAll("/", "-")}`, `${value}\n`);
    runCommand(["mount", "--bind", file, `/proc/sys/${name}`]);
  }
}
