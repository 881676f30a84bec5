import { Command, Option } from "commander";
import { serviceAccountFolder } from "../../src/kube/in-cluster.ts";
import type { VerbModule } from "../verb-module.ts";
import { absolute } from "../absolute.ts";
import { seconds } from "../option-values.ts";

interface Options {
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  readonly cniDir: string;
  readonly wait: number;
  readonly detach: boolean;
  readonly serviceAccount: string;
}

/** Runtimes watch the folder and read it again within milliseconds; on a node under load that takes longer. */
const settleMs = 2000;

const help = `
First the runtime gets its own config back, so that new pods do without polynic. Then what ended pods held is released; running ones are
waited for, and can be deleted all the while. Links, executables and credentials go last; files that --replace had put aside come back.

Examples:
  polynic uninstall                 on a node whose pods hold no network of ours any more
  polynic uninstall --wait 3600     while its pods are moved away
  polynic uninstall --detach        take the networks of running pods away
`;

export const command: VerbModule["command"] = (terminal, finish) =>
  new Command("uninstall")
    .description("Takes polynic off this node and restores what was there before.")
    .option("--cni-bin-dir <dir>", "folder of CNI plugins", "/opt/cni/bin")
    .option("--cni-conf-dir <dir>", "folder of CNI configs", "/etc/cni/net.d")
    .option("--cni-dir <dir>", "where the dispatcher keeps its journal", "/var/lib/cni/multus")
    .option("--wait <seconds>", "how long to wait for pods that hold networks", seconds, 60)
    .option("--detach", "take the networks of running pods away", false)
    .addOption(new Option("--service-account <dir>", "credentials of the pod").default(serviceAccountFolder).hideHelp())
    .addHelpText("after", help)
    .action(async (options: Options) => {
      const { KUBERNETES_SERVICE_HOST = "", KUBERNETES_SERVICE_PORT = "" } = process.env;
      const { uninstall } = await import("../../src/install/uninstall.ts");
      await uninstall({
        executable: process.execPath,
        binDir: absolute(options.cniBinDir),
        confDir: absolute(options.cniConfDir),
        cniDir: absolute(options.cniDir),
        stateDir: "/var/lib/cni/polynic",
        settleMs,
        drainTimeoutMs: options.wait * 1000,
        detaches: options.detach,
        credentials: {
          account: options.serviceAccount,
          host: KUBERNETES_SERVICE_HOST,
          port: KUBERNETES_SERVICE_PORT,
          skipsVerification: false,
        },
        say: (line) => void terminal.error(`polynic: ${line}\n`),
      });
      finish(0);
    });
