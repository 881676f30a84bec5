// The suite of package k8sclient: which networks a pod gets, and where their configs come from.
import { expect } from "vitest";
import { attached, interfaces, names, recorded, refusal, type Theme, version } from "./world.ts";

const list = "k8s.v1.cni.cncf.io/networks";
const defaultNetwork = "v1.multus-cni.io/default-network";
/** In place of the delegates of other rows. */
const noDelegates = { delegates: undefined };

export const lookupThemes: readonly Theme[] = [
  {
    suite: "k8sclient",
    theme: "the short form and the JSON form name the same networks",
    async holds(here) {
      const [a, b] = [await recorded(here), await recorded(here)];
      const short = await attached(here, `${a}, ${here.namespace}/${b}@x0`);
      const json = await attached(here, [{ name: a }, { name: b, namespace: here.namespace, interface: "x0" }]);
      expect([names(json), interfaces(json)]).toEqual([names(short), interfaces(short)]);
      expect(interfaces(short)).toEqual(["eth0", "net1", "x0"]);
    },
  },
  {
    suite: "k8sclient",
    theme: "a definition that is missing refuses the pod",
    async holds(here) {
      expect(await refusal(here, `${await recorded(here)},missing`)).toContain(
        `cannot find a network-attachment-definition (missing) in namespace (${here.namespace})`,
      );
    },
  },
  {
    suite: "k8sclient",
    theme: "bad JSON, in the annotation and in a definition, refuses the pod",
    async holds(here) {
      await here.network("torn", "{");
      expect(await refusal(here, '[{"name": "a",}]')).toContain(`annotation ${list}: `);
      expect(await refusal(here, "torn")).toContain("failed to unmarshal Spec.Config: line 1");
    },
  },
  {
    suite: "k8sclient",
    theme: "a default gateway is an address",
    async holds(here) {
      const name = await recorded(here);
      expect(await refusal(here, [{ name, "default-route": ["10.0.0.x"] }])).toContain("$[0].default-route[0]");
    },
  },
  {
    suite: "k8sclient",
    theme: "a definition without config is a file of the node of that name, or none",
    async holds(here) {
      await here.network("on-disk", "");
      here.local.folder.write("net.d/10.conf", { ...version, name: "on-disk", type: "recorder", from: "file" });
      expect((await attached(here, "on-disk")).adds[1]?.config).toMatchObject({ from: "file" });
      here.local.folder.write("net.d/10.conf", { ...version, name: "other", type: "recorder" });
      expect(await refusal(here, "on-disk")).toContain('no net configuration with name "on-disk"');
    },
  },
  {
    suite: "k8sclient",
    theme: "a config without a name gets the definition's; one with a name keeps it",
    async holds(here) {
      const [named, nameless] = [await recorded(here, { name: "mine" }), await recorded(here)];
      expect(names(await attached(here, `${named},${nameless}`))).toEqual(["main", "mine", nameless]);
    },
  },
  {
    suite: "k8sclient",
    theme: "clusterNetwork is a definition, a file, a folder, or a network of confDir",
    async holds(here) {
      const config = { ...version, type: "recorder" };
      const definition = await recorded(here, { name: "of-definition" });
      const file = here.local.folder.write("one/cluster.conf", { ...config, name: "of-file" });
      here.local.folder.write("many/10.conf", { ...config, name: "of-folder" });
      here.local.folder.write("net.d/10.conf", { ...config, name: "of-conf-dir" });
      const conf = { ...noDelegates, multusNamespace: here.namespace };
      for (const [clusterNetwork, want] of [
        [definition, "of-definition"],
        [file, "of-file"],
        [here.local.path("many"), "of-folder"],
        ["of-conf-dir", "of-conf-dir"],
      ] as const)
        expect(names(await attached(here, "", { conf: { ...conf, clusterNetwork } }))).toEqual([want]);
      expect(await refusal(here, "", { conf: { ...conf, clusterNetwork: "nobody" } })).toContain("nobody");
    },
  },
  {
    suite: "k8sclient",
    theme: "defaultNetworks go to every pod, but not to those of a system namespace",
    async holds(here) {
      const [cluster, extra, own] = [await recorded(here), await recorded(here), await recorded(here)];
      const conf = {
        ...noDelegates,
        multusNamespace: here.namespace,
        clusterNetwork: cluster,
        defaultNetworks: [extra],
      };
      expect(names(await attached(here, own, { conf }))).toEqual([cluster, extra, own]);
      const systemNamespaces = [here.namespace];
      const system = await attached(here, own, { conf: { ...conf, systemNamespaces } });
      expect(names(system)).toEqual([cluster, own]);
      expect(system.status).toHaveLength(2);
    },
  },
  {
    suite: "k8sclient",
    theme: "the default-network annotation takes the place of the default network, and is one network",
    async holds(here) {
      const [other, own] = [await recorded(here), await recorded(here)];
      const annotations = { [defaultNetwork]: `${here.namespace}/${other}` };
      const all = await attached(here, own, { annotations });
      expect(names(all)).toEqual([other, own]);
      expect(all.status).toMatchObject([{ name: `${here.namespace}/${other}`, default: true }, {}]);
      const two = { [defaultNetwork]: `${here.namespace}/${other},${here.namespace}/${own}` };
      expect(await refusal(here, "", { annotations: two })).toContain("more than one default network is specified");
    },
  },
  {
    suite: "k8sclient",
    theme: "a confDir that is not there, or has a file that can't be read, refuses what needs it and nothing else",
    async holds(here) {
      await here.network("needs-file", "");
      const conf = { confDir: here.local.path("nowhere") };
      expect(await refusal(here, "needs-file", { conf })).toContain("no net configurations found in ");
      here.local.folder.write("net.d/00.conf", "{");
      expect(await refusal(here, "needs-file")).toContain("net.d/00.conf: ");
      await attached(here, await recorded(here), { conf });
    },
  },
  {
    suite: "k8sclient",
    theme: "isolation denies networks of other namespaces, and allows the pod's own and the global ones",
    async holds(here) {
      const name = await recorded(here);
      const conf = { namespaceIsolation: true };
      await attached(here, name, { conf });
      expect(await refusal(here, "kube-system/x", { conf })).toContain("namespace isolation enabled");
      const annotations = { [defaultNetwork]: "kube-system/x" };
      expect(await refusal(here, "", { conf, annotations })).toContain("namespace isolation enabled");
      const shared = { ...conf, globalNamespaces: "elsewhere , kube-system" };
      expect(await refusal(here, "kube-system/x", { conf: shared })).toContain("cannot find ");
    },
  },
  {
    suite: "k8sclient",
    theme: "the grammar: slashes, ats, letters, blanks, lengths; an underscore is all right in an interface's name",
    async holds(here) {
      const name = await recorded(here);
      for (const [networks, words] of [
        ["a/b/c", "failed at '/'"],
        ["a@b@c", "failed at '@'"],
        ["ns$/a", 'invalid network namespace "ns$"'],
        ["a b", 'invalid network name "a b"'],
        ["A", 'invalid network name "A"'],
        ["a@x y", 'invalid interface name "x y"'],
        ["a@sixteen-letters-", "1 to 15 bytes"],
        ["a,", "remove the extra comma"],
      ] as const)
        expect(await refusal(here, networks)).toContain(words);
      expect(interfaces(await attached(here, `${name}@my_if`))).toEqual(["eth0", "my_if"]);
    },
  },
  {
    suite: "k8sclient",
    theme: "the status is written for the pod of the runtime's uid, or of any when the runtime knows none",
    async holds(here) {
      const name = await recorded(here);
      const bare = await attached(here, name, {
        args: (pod) => `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name}`,
      });
      expect(bare.status).toHaveLength(2);
      expect((await attached(here, name)).status).toHaveLength(2);
    },
  },
];
