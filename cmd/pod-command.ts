import { Command } from "commander";
import { defaultPodCidr } from "../src/play/default-conf.ts";
import { cidr } from "./option-values.ts";
import { collect, outputOption, type OutputFormat } from "./output.ts";

/** What the options of `podCommand` say. */
export interface PodOptions {
  readonly filename: readonly string[];
  readonly conf: string;
  readonly podCidr: string;
  readonly kubeconfig: string;
  readonly output: OutputFormat;
}

/** A command that looks at pods, of manifests or of a cluster, by some dispatcher's config. */
export function podCommand(verb: string): Command {
  return new Command(verb)
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
    .option("--pod-cidr <cidr>", "addresses of the built-in default network", cidr, defaultPodCidr)
    .addOption(outputOption());
}
