import { Command } from "commander";
import type { Finding } from "../../src/preflight/finding.ts";
import { callNetwork } from "../network-call.ts";
import { networkHelp } from "../network-command.ts";
import { absolute } from "../absolute.ts";
import { formatValue, outputOption, type OutputFormat } from "../output.ts";
import type { VerbModule } from "../verb-module.ts";
import { type Column, formatTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { UsageError } from "../usage-error.ts";

interface Options {
  readonly pre: boolean;
  readonly all: boolean;
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  readonly cniDir: string;
  readonly kubeconfig: string;
  readonly hostRoot: string;
  readonly output: OutputFormat;
}

const exitFailed = 1;

const help = `
Without arguments: is this node fit for polynic, and is polynic well on it? Kernel features are probed for real, in a network namespace
that goes afterwards. Each line has a stable code; docs/operations.md says more about each. Exit code 1 when one has failed.

Examples:
  polynic check                      on a node, after the install
  polynic check --pre                before the install
  polynic check -o json              for scripts
  polynic check multi /run/netns/x   is what add made of a network still there?
${networkHelp}`;

export const command: VerbModule["command"] = (terminal, finish) =>
  new Command("check")
    .description("Checks this node; or, with a network and a namespace, that what add made is still there.")
    .argument("[network]", "name of a network in NETCONFPATH")
    .argument("[netns]", "path of a network namespace")
    .option("--pre", "only what an install needs", false)
    .option("--all", "in a table, also what was skipped", false)
    .option("--cni-bin-dir <dir>", "folder of CNI plugins", "/opt/cni/bin")
    .option("--cni-conf-dir <dir>", "folder of CNI configs", "/etc/cni/net.d")
    .option("--cni-dir <dir>", "where the dispatcher keeps its journal", "/var/lib/cni/multus")
    .option("--kubeconfig <file>", "in place of the one that the dispatcher's config names", "")
    .option("--host-root <dir>", "where the node's / is seen, in a container", "/")
    .addOption(outputOption())
    .addHelpText("after", help)
    .action(async (network: string | undefined, netns: string | undefined, options: Options) => {
      if (network !== undefined) {
        if (netns === undefined) throw new UsageError("check NETWORK needs the path of a network namespace too");
        await callNetwork("check", network, netns, process.env, terminal);
        return;
      }
      const { preflight } = await import("../../src/preflight/preflight.ts");
      const { readDispatcher } = await import("../dispatcher.ts");
      const findings = await preflight({
        isBefore: options.pre,
        binDir: absolute(options.cniBinDir),
        confDir: absolute(options.cniConfDir),
        cniDir: absolute(options.cniDir),
        kubeconfig: options.kubeconfig === "" ? "" : absolute(options.kubeconfig),
        readKeys: (list) => readDispatcher(list)?.hints,
        root: absolute(options.hostRoot),
      });
      await print(findings, options, terminal);
      finish(findings.some(({ verdict }) => verdict === "failed") ? exitFailed : 0);
    });

async function print(findings: readonly Finding[], { output, all }: Options, terminal: Terminal): Promise<void> {
  const shown = all ? findings : findings.filter(({ verdict }) => verdict !== "skipped");
  const columns: readonly Column<Finding>[] = [
    { title: "VERDICT", cell: ({ verdict }) => verdict },
    { title: "CODE", cell: ({ code }) => code },
    { title: "FOUND", cell: ({ message, cure }) => (cure === "" ? message : `${message}\n-> ${cure}`) },
  ];
  await terminal.out(formatValue(findings, output) ?? formatTable(columns, shown, terminal.colours));
}
