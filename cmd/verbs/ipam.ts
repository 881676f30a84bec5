import { Command } from "commander";
import { checkPools, handOverPools, releasePools, showPools, whoHolds } from "../ipam.ts";
import type { IpamRequest } from "../ipam-source.ts";
import { clusterCommand } from "../cluster-command.ts";
import type { VerbModule } from "../verb-module.ts";
import { outputOption } from "../output.ts";

const examples = `
Examples:
  polynic ipam show                                  size, used, free, leaked, duplicate and index lag of every pool
  polynic ipam who 10.0.0.5                          pod, uid, node, interface and since when
  polynic ipam check --report leaked.json            write down what has no holder; changes nothing
  polynic ipam release --from-report leaked.json     a minute later: release what still has none
  polynic ipam hand-over                             after the last uninstall: leave nothing behind that only polynic can remove
  polynic ipam show --manifests /run/polynic/play    pools of the pods that play has made, or of any directory of manifests
`;

export const command: VerbModule["command"] = (terminal, finish) => {
  const verb = (name: string, description: string): Command =>
    clusterCommand(name)
      .description(description)
      .option("--manifests <directory>", "pools and pods of a directory of manifests in place of a cluster's", "")
      .addOption(outputOption());
  const show = verb("show", "Lists the pools. Changes nothing.").action(async (options: IpamRequest) => {
    finish(await showPools(options, terminal));
  });
  const who = verb("who", "Says who holds an address. Changes nothing.")
    .argument("<address>", "an IP address")
    .action(async (address: string, options: IpamRequest) => {
      finish(await whoHolds(address, options, terminal));
    });
  const check = verb("check", "Finds addresses that nobody uses, and those that two hold. Changes nothing.")
    .option("--report <file>", "write what was found to a file, for release", "")
    .action(async (options: IpamRequest & { readonly report: string }) => {
      finish(await checkPools(options, terminal));
    });
  const release = verb("release", "Releases what a report of check says, as far as it is still so.")
    .requiredOption("--from-report <file>", "the report; a minute old at least, since two looks have to agree")
    .action(async (options: IpamRequest & { readonly fromReport: string }) => {
      finish(await releasePools(options, terminal));
    });
  const handOver = verb(
    "hand-over",
    "Makes our claims into whereabouts' own, without finalizers: when no node runs polynic any more.",
  ).action(async (options: IpamRequest) => {
    finish(await handOverPools(options, terminal));
  });
  return new Command("ipam")
    .description(
      "Tells of whereabouts' addresses: who holds which, what is leaked, and how far the pools' maps are behind.",
    )
    .addCommand(show)
    .addCommand(who)
    .addCommand(check)
    .addCommand(release)
    .addCommand(handOver)
    .addHelpText("after", examples);
};
