import { type ExplainedNetwork, explainPod, type PodExplanation } from "../src/multus/explanation.ts";
import { formatValue, type OutputFormat } from "./output.ts";
import { PodSource, type PodSourceRequest } from "./pod-source.ts";
import { type Column, formatTable } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** Whose networks are to be explained. */
export interface ExplainRequest extends PodSourceRequest {
  /** "namespace/name", or a name in namespace default. */
  readonly pod: string;
  readonly output: OutputFormat;
}

/** Prints what the dispatcher would do for a pod, network by network, and why; changes nothing. Exit code 1 when it would be refused. */
export async function explainOne(request: ExplainRequest, terminal: Terminal): Promise<number> {
  using source = await PodSource.open(request);
  const pod = await source.find(request.pod);
  const explanation = await explainPod(source.confFor(pod), source.cluster, pod);
  if (source.note !== "") await terminal.error(`note: ${source.note}\n`);
  await terminal.out(formatValue(explanation, request.output) ?? explanationText(explanation, terminal));
  return explanation.isRefused ? 1 : 0;
}

function explanationText(explanation: PodExplanation, { colours }: Terminal): string {
  const { namespace, name, uid, isRefused, networks } = explanation;
  const verdict = isRefused ? colours.bad("would be refused, with nothing attached") : "would be attached";
  return [
    `Pod ${namespace}/${name} (uid ${uid}) ${verdict}.\n\n`,
    formatTable(columns, networks, colours),
    ...reasonLines(explanation).map((line) => `\n${line}\n`),
  ].join("");
}

/** One line for each reason; what concerns several networks alike is said once. */
function reasonLines({ networks, notes, refusals }: PodExplanation): string[] {
  const lines = [
    ...refusals.map(({ reason, message }) => `refused: ${reason}: ${message}`),
    ...networks.flatMap((network) => network.refusals.map(({ reason, message }) => `refused: ${reason}: ${message}`)),
    ...networks.flatMap((network) => network.warnings.map(({ reason, message }) => `warning: ${reason}: ${message}`)),
    ...notes.map((note) => `note: ${note}`),
  ];
  return [...new Set(lines)];
}

const columns: readonly Column<ExplainedNetwork>[] = [
  { title: "INTERFACE", cell: (network) => network.interface ?? "-" },
  { title: "NETWORK", cell: ({ network }) => network },
  { title: "VERDICT", cell: verdict },
  { title: "ASKED BY", cell: ({ askedBy }) => askedBy },
  { title: "CONFIG FROM", cell: ({ configFrom }) => configFrom ?? "-" },
  {
    title: "PLUGINS",
    cell: ({ plugins = [] }) =>
      plugins.map(({ type, ipam }) => (ipam === "" ? type : `${type}/${ipam}`)).join("\n") || "-",
  },
  { title: "INJECTED", cell: injections },
];

function verdict({ refusals, warnings }: ExplainedNetwork): string {
  return refusals[0]?.reason ?? warnings[0]?.reason ?? "ok";
}

/** What is put into the configs, and what is done for the pod beside them; of CNI_ARGS only what may differ from network to network. */
function injections({ plugins = [], args = "", resourceName, deviceId, defaultRoute }: ExplainedNetwork): string {
  const wishes = args.split(";").filter((pair) => /^(?:IP|MAC)=/.test(pair));
  const perPlugin = plugins.flatMap(({ type, injected }) =>
    Object.entries(injected).map(
      ([key, value]) => `${plugins.length > 1 ? `${type}: ` : ""}${key} ${JSON.stringify(value)}`,
    ),
  );
  return [
    ...perPlugin,
    ...(wishes.length === 0 ? [] : [`CNI_ARGS ${wishes.join(";")}`]),
    ...(resourceName === undefined || deviceId !== undefined
      ? []
      : [`deviceID, pciBusID of a ${resourceName} that kubelet assigns`]),
    ...(defaultRoute === undefined ? [] : [`default-route ${JSON.stringify(defaultRoute)}`]),
  ].join("\n");
}
