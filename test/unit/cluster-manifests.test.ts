import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManifestCluster } from "../../src/cluster/manifests.ts";
import { clusterContract, type WorldPod } from "../kit/cluster-contract.ts";

clusterContract("manifests", async ({ pods, networks }) => {
  const directory = mkdtempSync(join(tmpdir(), "polynic-manifests-"));
  const write = (living: readonly WorldPod[]): void => {
    writeFileSync(join(directory, "pods.yaml"), living.map(podYaml).join("---\n"));
  };
  let living = pods;
  write(living);
  writeFileSync(
    join(directory, "networks.yaml"),
    networks
      .map(({ namespace, name, config, annotations }) =>
        Bun.YAML.stringify({
          apiVersion: "k8s.cni.cncf.io/v1",
          kind: "NetworkAttachmentDefinition",
          metadata: { name, namespace, annotations },
          ...(config === "" ? {} : { spec: { config } }),
        }),
      )
      .join("\n---\n"),
  );
  const others = (namespace: string, name: string): WorldPod[] =>
    living.filter((pod) => pod.namespace !== namespace || pod.name !== name);
  return {
    mayList: true,
    countsEvents: true,
    connect: () => new ManifestCluster(directory),
    async replacePod(namespace, name) {
      const pod = living.find((candidate) => candidate.namespace === namespace && candidate.name === name);
      if (pod === undefined) throw new Error(`no pod ${namespace}/${name}`);
      living = [...others(namespace, name), { ...pod, uid: crypto.randomUUID() }];
      write(living);
    },
    async deletePod(namespace, name) {
      living = others(namespace, name);
      write(living);
    },
    events: async (pod) => new ManifestCluster(directory).events(pod),
    async dispose() {
      rmSync(directory, { recursive: true });
    },
  };
});

function podYaml({ namespace, name, uid, annotations, nodeName, hostNetwork }: WorldPod): string {
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name, uid, annotations },
    spec: { nodeName, hostNetwork },
  };
  return `${Bun.YAML.stringify(JSON.parse(JSON.stringify(pod)), null, 2)}\n`;
}
