// The cluster port's contract on a real API server, with our own role and with the one that Multus' manifest grants.
import { inject } from "vitest";
import { ApiCluster } from "../../src/cluster/api.ts";
import type { NetworkAttachmentDefinition, Pod } from "../../src/cluster/port.ts";
import { silentLogger } from "../../src/log/logger.ts";
import { type Account, kubeconfig } from "../kit/cluster.ts";
import { clusterContract, type StoredEvent, type WorldPod } from "../kit/cluster-contract.ts";
import { useTemporaryFolder } from "../kit/hooks.ts";
import { KubeAdmin, type KubeJson } from "../kit/kube-admin.ts";

const folder = useTemporaryFolder();
const timeoutMs = 10_000;

for (const account of ["polynic", "multus"] as const) contractFor(account);

function contractFor(account: Account): void {
  clusterContract(`api, as ${account}`, async ({ pods, networks }) => {
    const api = inject("api");
    const admin = new KubeAdmin(api);
    const file = folder().write(
      `${account}.kubeconfig`,
      kubeconfig({ server: admin.server, ca: api.ca, user: { token: await admin.token("kube-system", account) } }),
    );
    const namespaces = ["default", "shop"];
    for (const name of namespaces) await admin.ensure({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
    const clear = async (): Promise<void> => {
      for (const namespace of namespaces) {
        for (const path of [
          `/api/v1/namespaces/${namespace}/pods?gracePeriodSeconds=0`,
          `/api/v1/namespaces/${namespace}/events`,
          `/apis/k8s.cni.cncf.io/v1/namespaces/${namespace}/network-attachment-definitions`,
        ])
          await admin.send("DELETE", path);
      }
    };
    await clear();
    await Promise.all([...pods.map(podJson), ...networks.map(networkJson)].map((object) => admin.create(object)));
    return {
      mayList: account === "multus",
      countsEvents: account === "multus",
      connect: () => new ApiCluster({ kubeconfig: file, timeoutMs, verb: "test", environment: {}, log: silentLogger }),
      async replacePod(namespace, name) {
        const pod = pods.find((candidate) => candidate.namespace === namespace && candidate.name === name);
        if (pod === undefined) throw new Error(`no pod ${namespace}/${name}`);
        await admin.delete(podJson(pod));
        await admin.create(podJson(pod));
      },
      async deletePod(namespace, name) {
        await admin.delete(podJson({ namespace, name, annotations: {} }));
      },
      events: async ({ namespace, uid }: Pod) => {
        const path = `/api/v1/namespaces/${namespace}/events?fieldSelector=involvedObject.uid=${uid}`;
        const { items } = (await admin.send("GET", path)) as unknown as { items: StoredEvent[] };
        return items;
      },
      dispose: clear,
    };
  });
}

function podJson({ namespace, name, annotations, nodeName, hostNetwork }: WorldPod): KubeJson {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name, annotations },
    spec: { nodeName, hostNetwork, containers: [{ name: "main", image: "none" }] },
  };
}

function networkJson({ namespace, name, config, annotations }: NetworkAttachmentDefinition): KubeJson {
  return {
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: { namespace, name, annotations },
    ...(config === "" ? {} : { spec: { config } }),
  };
}
