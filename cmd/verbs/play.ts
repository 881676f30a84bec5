import { Command } from "commander";
import { defaultPodCidr, defaultRoot } from "../../src/play/default-conf.ts";
import { nodePath } from "../../src/play/node.ts";
import type { DownReport } from "../../src/play/down.ts";
import type { InterfaceReport } from "../../src/play/interface-report.ts";
import type { PlayReport } from "../../src/play/report.ts";
import { printFailures } from "../pod-failures.ts";
import type { VerbModule } from "../verb-module.ts";
import { collect, formatValue, outputOption, type OutputFormat } from "../output.ts";
import { absolute } from "../absolute.ts";
import { cidr } from "../option-values.ts";
import { type Column, formatTable } from "../table.ts";
import type { Colours, Terminal } from "../terminal.ts";
import { UsageError } from "../usage-error.ts";

interface Options {
  readonly filename: readonly string[];
  readonly root: string;
  readonly node: string;
  readonly conf: string;
  readonly podCidr: string;
  readonly dryRun: boolean;
  readonly down: boolean;
  readonly output: OutputFormat;
}

const examples = `
Each Pod becomes a network namespace under ROOT/netns and gets its networks exactly as under Kubernetes: loopback up, then this
executable is called as the CNI plugin multus, which reads the pod's annotation and the NetworkAttachmentDefinitions next to it.
Ports of containers with a hostPort become ports of the node.

Examples:
  polynic play -f conf-examples/pods                         every pod of a folder
  polynic play -f nets.yaml -f pod.yaml --node n1            with the masters and bridges of namespace /run/netns/n1
  polynic play -f pods.yaml --conf 00-multus.conf            with a default network of your own
  polynic play -f pods.yaml --dry-run -o yaml                the plan, with every config and argument
  nsenter --net=/run/polynic/play/netns/default_web ip addr  look into a pod
  polynic play --down                                        take all of them down again
`;

export const command: VerbModule["command"] = (terminal, finish) =>
  new Command("play")
    .description(
      "Makes the pods of Kubernetes manifests on this machine, with all their networks; no cluster is needed.",
    )
    .option("-f, --filename <path>", "manifest file or folder (may be repeated)", collect, [])
    .option("--down", "take down every pod that play has made under ROOT", false)
    .option("--root <dir>", "folder for what is kept between calls", defaultRoot)
    .option("--node <netns>", "network namespace that stands for the node (a path, or a name under /run/netns)", "")
    .option("--conf <file>", "CNI configuration in place of the built-in default network", "")
    .option("--pod-cidr <cidr>", "addresses of the built-in default network", cidr, defaultPodCidr)
    .option("--dry-run", "print the plan and change nothing", false)
    .addOption(outputOption())
    .addHelpText("after", examples)
    .action(async (options: Options) => {
      finish(await run(options, terminal));
    });

async function run(options: Options, terminal: Terminal): Promise<number> {
  const root = absolute(options.root);
  if (options.down) {
    if (options.filename.length > 0)
      throw new UsageError("--down takes down what was made under --root: it takes no -f");
    const { playDown } = await import("../../src/play/down.ts");
    return printDown(root, await playDown(root), options.output, terminal);
  }
  if (options.filename.length === 0) throw new UsageError("name the manifests with -f FILE, or take down with --down");
  if (options.dryRun) {
    const { planFiles } = await import("../plan.ts");
    return planFiles(
      { ...options, root, paths: options.filename, kubeconfig: "", verb: "play", pod: undefined },
      terminal,
    );
  }
  const { playUp } = await import("../../src/play/up.ts");
  const { conf, podCidr, filename } = options;
  return printUp(
    await playUp({ root, paths: filename, node: nodePath(options.node), conf, podCidr }),
    options.output,
    terminal,
  );
}

async function printUp(report: PlayReport, output: OutputFormat, terminal: Terminal): Promise<number> {
  await terminal.out(formatValue(report, output) ?? playTable(report, terminal.colours));
  for (const warning of report.warnings) await terminal.error(`warning: ${warning}\n`);
  return printFailures(report.failures, terminal);
}

interface Row extends InterfaceReport {
  readonly pod: string;
  readonly milliseconds: string;
}

const columns: readonly Column<Row>[] = [
  { title: "POD", cell: ({ pod }) => pod },
  { title: "INTERFACE", cell: (row) => row.interface },
  { title: "NETWORK", cell: ({ network }) => network },
  { title: "PLUGIN", cell: ({ plugin }) => plugin },
  { title: "ADDRESSES", cell: ({ addresses }) => addresses.join("\n") },
  { title: "MAC", cell: ({ mac }) => mac },
  { title: "MTU", cell: ({ mtu }) => String(mtu), isNumber: true },
  { title: "GATEWAY", cell: ({ gateways }) => gateways.join("\n") },
  { title: "MS", cell: ({ milliseconds }) => milliseconds, isNumber: true },
];

/** One line for each interface; the pod's milliseconds stand with its first. */
export function playTable({ pods }: Pick<PlayReport, "pods">, colours: Colours): string {
  const rows = pods.flatMap(({ namespace, name, milliseconds, interfaces }) =>
    interfaces.map((each, index) => ({
      ...each,
      pod: index === 0 ? `${namespace}/${name}` : "",
      milliseconds: index === 0 ? milliseconds.toFixed(1) : "",
    })),
  );
  return formatTable(columns, rows, colours);
}

async function printDown(root: string, report: DownReport, output: OutputFormat, terminal: Terminal): Promise<number> {
  const table = formatTable(
    [
      { title: "POD", cell: ({ namespace, name }: DownReport["pods"][number]) => `${namespace}/${name}` },
      { title: "MS", cell: ({ milliseconds }) => milliseconds.toFixed(1), isNumber: true },
    ],
    report.pods,
    terminal.colours,
  );
  const isNothing = report.pods.length + report.failures.length === 0;
  await terminal.out(formatValue(report, output) ?? (isNothing ? `no pods are up under ${root}\n` : table));
  return printFailures(report.failures, terminal);
}
