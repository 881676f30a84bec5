import { Command } from "commander";

/** What the options of `clusterCommand` say; "" for what was not given. */
export interface ClusterOptions {
  readonly kubeconfig: string;
  readonly namespace: string;
}

/** A command that works on the pools of a cluster: `clusterAccess` reads its options. */
export function clusterCommand(name: string): Command {
  return new Command(name)
    .option("--kubeconfig <file>", "credentials; otherwise $KUBECONFIG, or the pod's service account", "")
    .option(
      "--namespace <name>",
      "of the pools; otherwise $WHEREABOUTS_NAMESPACE, the credentials', or kube-system",
      "",
    );
}
