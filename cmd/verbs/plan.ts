import { Command } from "commander";
import { defaultPodCidr, defaultRoot } from "../../src/play/default-conf.ts";
import type { VerbModule } from "../command-line.ts";
import { collect, outputOption, type OutputFormat } from "../output.ts";
import { planFiles } from "../plan.ts";

interface Options {
  readonly filename: readonly string[];
  readonly conf: string;
  readonly podCidr: string;
  readonly kubeconfig: string;
  readonly output: OutputFormat;
}

const examples = `
Examples:
  polynic plan -f conf-examples/pods                  all pods: interface, network, plugin, where the config comes from
  polynic plan -f conf-examples/pods default/web      one pod
  polynic plan -f pods.yaml web -o json               with every config, CNI_ARGS and runtimeConfig as plugins would get them
  polynic plan --conf /etc/cni/net.d/00-multus.conf   the pods of the folder that the config's "manifests" names
  polynic plan default/web --kubeconfig ~/.kube/config    a pod of a cluster
`;

export const command: VerbModule["command"] = (terminal, finish) =>
  new Command("plan")
    .description(
      "Prints which networks pods would get, in which order and from where. Changes nothing, needs no privileges.",
    )
    .argument("[pod]", "namespace/name, or a name in namespace default; all pods otherwise")
    .option("-f, --filename <path>", "manifest file or folder (may be repeated)", collect, [])
    .option(
      "--conf <file>",
      "CNI configuration with a plugin of type multus; otherwise this node's for a pod of a cluster, a built-in one for -f",
      "",
    )
    .option(
      "--kubeconfig <file>",
      "look pods and networks up in a cluster; otherwise what the config, $KUBECONFIG or ~/.kube/config says",
      "",
    )
    .option("--pod-cidr <cidr>", "addresses of the built-in default network", defaultPodCidr)
    .addOption(outputOption())
    .addHelpText("after", examples)
    .action(async (pod: string | undefined, { filename: paths, ...options }: Options) => {
      finish(await planFiles({ ...options, root: defaultRoot, paths, pod, verb: "plan" }, terminal));
    });
