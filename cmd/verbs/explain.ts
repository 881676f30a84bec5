import { defaultRoot } from "../../src/play/default-conf.ts";
import type { VerbModule } from "../verb-module.ts";
import { explainOne } from "../explain.ts";
import { podCommand, type PodOptions } from "../pod-command.ts";

const examples = `
Every network is looked at to the end, whatever fails: where its config comes from, what each plugin's config gets beyond what is written,
what the pod would be warned of, and what would refuse it (with the names that come near, where a network is missing). Configs of built-in
plugins are read as ADD would read them, with their ipam sections.

Examples:
  polynic explain default/web -f conf-examples/pods                  a pod of manifests
  polynic explain web -f pods.yaml -o json                           with capabilities and CNI_ARGS
  polynic explain default/web --conf /etc/cni/net.d/00-multus.conf   by this node's config
  polynic explain default/web --kubeconfig ~/.kube/config            a pod of a cluster

Devices are asked of this machine's kubelet, so ask on the pod's node. Exit code 1 when the pod would be refused. No plugin is called.
`;

export const command: VerbModule["command"] = (terminal, finish) =>
  podCommand("explain")
    .description("Says for one pod which networks it would get and why, and what would be refused. Changes nothing.")
    .argument("<pod>", "namespace/name, or a name in namespace default")
    .addHelpText("after", examples)
    .action(async (pod: string, { filename: paths, ...options }: PodOptions) => {
      finish(await explainOne({ ...options, root: defaultRoot, paths, pod, verb: "explain" }, terminal));
    });
