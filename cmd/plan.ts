import { type PlannedAttachment, planPods, type PlanReport } from "../src/play/pod-plan.ts";
import { formatValue, type OutputFormat } from "./output.ts";
import { printFailures } from "./pod-failures.ts";
import { PodSource, type PodSourceRequest } from "./pod-source.ts";
import { type Column, formatTable } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** What is to be planned. */
export interface PlanRequest extends PodSourceRequest {
  /** "namespace/name", or a name in namespace default; undefined for all pods. */
  readonly pod: string | undefined;
  readonly output: OutputFormat;
}

/** Prints what the dispatcher would do for pods; changes nothing. Exit code 1 when a pod would be refused. */
export async function planFiles(request: PlanRequest, terminal: Terminal): Promise<number> {
  using source = await PodSource.open(request);
  const report = await planPods((pod) => source.confFor(pod), source.cluster, await source.choose(request.pod));
  if (source.note !== "") await terminal.error(`note: ${source.note}\n`);
  await terminal.out(formatValue(report, request.output) ?? planTable(report, terminal));
  for (const { namespace, name, warnings } of report.pods)
    for (const warning of warnings) await terminal.error(`${namespace}/${name}: warning: ${warning}\n`);
  return await printFailures(report.failures, terminal);
}

interface Row extends PlannedAttachment {
  readonly pod: string;
}

const columns: readonly Column<Row>[] = [
  { title: "POD", cell: ({ pod }) => pod },
  { title: "INTERFACE", cell: (row) => row.interface },
  { title: "NETWORK", cell: ({ network }) => network },
  { title: "PLUGIN", cell: ({ plugin }) => plugin },
  { title: "ASKED FOR", cell: ({ capabilityArgs, defaultRoute }) => describeWishes(capabilityArgs, defaultRoute) },
  { title: "CONFIG FROM", cell: ({ origin }) => origin },
];

function planTable({ pods }: PlanReport, { colours }: Terminal): string {
  const rows = pods.flatMap(({ namespace, name, attachments }) =>
    attachments.map((attachment, index) => ({ ...attachment, pod: index === 0 ? `${namespace}/${name}` : "" })),
  );
  return formatTable(columns, rows, colours);
}

function describeWishes(
  capabilityArgs: PlannedAttachment["capabilityArgs"],
  defaultRoute: readonly string[] | undefined,
): string {
  const wishes = Object.entries(capabilityArgs).map(
    ([name, value]) => `${name} ${name === "portMappings" ? describePorts(value) : JSON.stringify(value)}`,
  );
  if (defaultRoute !== undefined) wishes.push(`default-route ${JSON.stringify(defaultRoute)}`);
  return wishes.join("\n");
}

/** Short, since there are often several: "8080:80/tcp, 192.0.2.1:53:5353/udp". */
function describePorts(value: unknown): string {
  if (!Array.isArray(value)) return JSON.stringify(value);
  const ports = value as readonly Readonly<Record<string, unknown>>[];
  return ports
    .map(({ hostIP, hostPort, containerPort, protocol }) => {
      const host = typeof hostIP === "string" && hostIP !== "" ? [hostIP] : [];
      return `${[...host, hostPort, containerPort].join(":")}/${String(protocol)}`;
    })
    .join(", ");
}
