import { Command } from "commander";
import { defaultPodCidr, defaultRoot } from "../../src/play/default-conf.ts";
import type { VerbModule } from "../command-line.ts";
import { explainOne } from "../explain.ts";
import { collect, outputOption, type OutputFormat } from "../output.ts";

interface Options {
  readonly filename: readonly string[];
  readonly conf: string;
  readonly podCidr: string;
  readonly kubeconfig: string;
  readonly output: OutputFormat;
}

const examples = `
Every network is looked at to the end, whatever fails: where its config comes from, what each plugin's config gets beyond what is written,
what the pod would be warned of, and what would refuse it (with the names that come near, where a network is missing).

Examples:
  polynic explain default/web -f conf-examples/pods                  a pod of manifests
  polynic explain web -f pods.yaml -o json                           with capabilities and CNI_ARGS
  polynic explain default/web --conf /etc/cni/net.d/00-multus.conf   by this node's config
  polynic explain default/web --kubeconfig ~/.kube/config            a pod of a cluster

Devices are asked of this machine's kubelet, so ask on the pod's node. Exit code 1 when the pod would be refused. No plugin is called.
`;

export const command: VerbModule["command"] = (terminal, finish) =>
  new Command("explain")
    .description("Says for one pod which networks it would get and why, and what would be refused. Changes nothing.")
    .argument("<pod>", "namespace/name, or a name in namespace default")
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
    .action(async (pod: string, { filename: paths, ...options }: Options) => {
      finish(await explainOne({ ...options, root: defaultRoot, paths, pod, verb: "explain" }, terminal));
    });
