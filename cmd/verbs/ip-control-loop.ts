import { runCollector, runIpamController, type IpamControllerOptions } from "../../src/controller/ipam-controller.ts";
import { isForbidden } from "../../src/kube/error.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { pause } from "../../src/libc/pause.ts";
import { cronExpression } from "../../src/controller/cron-expression.ts";
import { clusterAccess } from "../cluster-access.ts";
import type { VerbModule } from "../verb-module.ts";
import { clusterCommand, type ClusterOptions } from "../cluster-command.ts";
import { daemonLog, processIdentity, untilTold } from "../daemon.ts";
import { schedule, seconds } from "../option-values.ts";

interface Options extends ClusterOptions {
  readonly cronSchedule: string;
  /** Seconds. */
  readonly confirmAfter: number;
  readonly dryRun: boolean;
  readonly logLevel: string;
  readonly enablePodWatch?: string;
}

const timeoutMs = 30_000;
/** So that the nodes of a cluster do not list everything at the same moment. */
const longestJitterMs = 20_000;
/** A DaemonSet has a candidate on every node: each looks at the Lease four times a minute, not thirty. */
const leaderTimes = { leaseMs: 60_000, renewWithinMs: 40_000, retryMs: 15_000 };

const examples = `
Takes the place of whereabouts' program of that name in its manifests, with the credentials and rights that they give it. Where these allow a Lease one of
all nodes works for the cluster (index of the pools, leaked addresses); where they do not, each looks for leaked addresses by itself.

The schedule is that of --cron-schedule, or of the file /cron-schedule/config (a mounted ConfigMap, read again when it changes), or
"reconciler_cron_expression" of whereabouts.conf, or 30 4 * * *.
`;

export const command: VerbModule["command"] = (_, finish) =>
  clusterCommand("ip-control-loop")
    .description("Looks for addresses whose pods are gone, as whereabouts' ip-control-loop and ip-reconciler do.")
    .option("--cron-schedule <cron>", "when to look, in UTC", schedule, "")
    .option("--log-level <level>", "debug, verbose, error or panic", "debug")
    .option("--enable-pod-watch [bool]", "accepted for whereabouts' manifests: pods are always looked at on schedule")
    .option("--dry-run", "tell of leaked addresses and release none", false)
    .option("--confirm-after <seconds>", "how far apart two looks are that have to agree", seconds, 60)
    .addHelpText("after", examples)
    .action(async (options: Options) => {
      const log = daemonLog(options.logLevel, "text");
      const signal = untilTold(log);
      const { client, ...pools } = clusterAccess({ ...options, verb: "ip-control-loop", timeoutMs, log, signal });
      await run(client, {
        ...pools,
        identity: processIdentity(),
        schedule: () => cronExpression(options.cronSchedule),
        confirmAfterMs: options.confirmAfter * 1000,
        isDryRun: options.dryRun,
        signal,
        log,
        leaderTimes,
      });
      finish(0);
    });

async function run(client: KubeClient, options: IpamControllerOptions): Promise<void> {
  try {
    await runIpamController(client, options);
  } catch (error) {
    if (!isForbidden(error) || !error.operation.includes(" lease")) throw error;
    options.log.error(`${error.message}; looking for leaked addresses without electing who does`);
    await pause(Math.random() * longestJitterMs, options.signal);
    await runCollector(client, options);
  }
}
