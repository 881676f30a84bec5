import { defaultRoot } from "../../src/play/default-conf.ts";
import type { VerbModule } from "../verb-module.ts";
import { planFiles } from "../plan.ts";
import { podCommand, type PodOptions } from "../pod-command.ts";

const examples = `
Examples:
  polynic plan -f conf-examples/pods                      all pods: interface, network, plugin, where the config comes from
  polynic plan -f conf-examples/pods default/web          one pod
  polynic plan -f pods.yaml web -o json                   with every config, CNI_ARGS and runtimeConfig as plugins would get them
  polynic plan --conf /etc/cni/net.d/00-multus.conf       the pods of the folder that the config's "manifests" names
  polynic plan default/web --kubeconfig ~/.kube/config    a pod of a cluster
`;

export const command: VerbModule["command"] = (terminal, finish) =>
  podCommand("plan")
    .description(
      "Prints which networks pods would get, in which order and from where. Changes nothing, needs no privileges.",
    )
    .argument("[pod]", "namespace/name, or a name in namespace default; all pods otherwise")
    .addHelpText("after", examples)
    .action(async (pod: string | undefined, { filename: paths, ...options }: PodOptions) => {
      finish(await planFiles({ ...options, root: defaultRoot, paths, pod, verb: "plan" }, terminal));
    });
