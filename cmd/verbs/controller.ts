import { Command, Option } from "commander";
import { runIpamController } from "../../src/controller/ipam-controller.ts";
import { clusterAccess } from "../cluster-access.ts";
import type { VerbModule } from "../verb-module.ts";
import { clusterCommand, type ClusterOptions } from "../cluster-command.ts";
import { daemonLog, processIdentity, untilTold } from "../daemon.ts";
import { schedule, seconds } from "../option-values.ts";

interface Options extends ClusterOptions {
  readonly gcSchedule: string;
  /** Seconds. */
  readonly gcConfirmAfter: number;
  readonly dryRun: boolean;
  readonly logLevel: string;
  readonly logFormat: "text" | "json";
}

/** A large pool takes a server seconds to write. */
const timeoutMs = 30_000;

const examples = `
Keeps whereabouts' pools in step with the claims on their addresses, releases addresses whose holders are gone, and divides ranges among
nodes. Several may run: the one that holds the Lease polynic-ipam works, the others wait. Addresses are given out correctly without it, too.

Examples:
  polynic controller ipam                               in a pod, with the service account of deploy/rbac-ipam-controller.yaml
  polynic controller ipam --kubeconfig ~/.kube/config --log-level debug
  polynic controller ipam --dry-run                     say what would be released, and release nothing
`;

export const command: VerbModule["command"] = (_, finish) => {
  const ipam = clusterCommand("ipam")
    .description("Keeps the pools of whereabouts in order.")
    .option("--gc-schedule <cron>", "when leaked addresses are looked for, in UTC", schedule, "* * * * *")
    .option("--gc-confirm-after <seconds>", "how far apart two looks are that have to agree", seconds, 60)
    .option("--dry-run", "tell of leaked addresses and release none", false)
    .option("--log-level <level>", "debug, verbose, error or panic", "verbose")
    .addOption(new Option("--log-format <format>", "how lines are written").choices(["text", "json"]).default("text"))
    .addHelpText("after", examples)
    .action(async (options: Options) => {
      const log = daemonLog(options.logLevel, options.logFormat);
      const signal = untilTold(log);
      const { client, ...pools } = clusterAccess({ ...options, verb: "controller", timeoutMs, log, signal });
      await runIpamController(client, {
        ...pools,
        identity: processIdentity(),
        schedule: () => options.gcSchedule,
        confirmAfterMs: options.gcConfirmAfter * 1000,
        isDryRun: options.dryRun,
        signal,
        log,
      });
      finish(0);
    });
  return new Command("controller").description("Programs that run for a whole cluster.").addCommand(ipam);
};
