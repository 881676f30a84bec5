import { ManifestCluster } from "../src/cluster/manifests.ts";
import type { Cluster, Pod } from "../src/cluster/port.ts";
import { defaultConf } from "../src/play/default-conf.ts";
import { dispatcherConf, readConf, toList } from "../src/play/pod-conf.ts";
import { type PlannedAttachment, planPods, type PlanReport } from "../src/play/pod-plan.ts";
import { asInput } from "../src/play/play-error.ts";
import { PodSources } from "../src/play/pods.ts";
import { layout } from "../src/play/state.ts";
import { formatValue, type OutputFormat } from "./output.ts";
import { type Column, formatTable } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

/** What is to be planned. */
export interface PlanRequest {
  readonly root: string;
  /** Manifest files and directories; without any, the `manifests` key of `conf` counts. */
  readonly paths: readonly string[];
  readonly conf: string;
  readonly podCidr: string;
  /** "namespace/name", or a name in namespace default; undefined for all pods. */
  readonly pod: string | undefined;
  readonly output: OutputFormat;
}

/** Prints what the dispatcher would do for pods of manifests; changes nothing. Exit code 1 when a pod would be refused. */
export async function planFiles(request: PlanRequest, terminal: Terminal): Promise<number> {
  const { conf, root, podCidr } = request;
  const list =
    conf === "" ? toList(defaultConf({ root, manifests: layout.manifests(root, 1), podCidr })) : readConf(conf);
  const dispatcher = asInput(`${conf}: `, () => dispatcherConf(list));
  if (dispatcher === undefined)
    throw new UsageError(
      `${conf}: network ${list.name} has no plugin of type multus, which is what reads pods' networks`,
    );
  const { cluster, pods } = find(request, dispatcher.manifests);
  const report = await planPods(dispatcher, cluster, choose(pods, request.pod));
  await terminal.out(formatValue(report, request.output) ?? planTable(report, terminal));
  for (const { namespace, name, warnings } of report.pods)
    for (const warning of warnings) await terminal.error(`${namespace}/${name}: warning: ${warning}\n`);
  for (const { namespace, name, error } of report.failures)
    await terminal.error(`${terminal.colours.bad(`${namespace}/${name}:`)} ${error}\n`);
  return report.failures.length === 0 ? 0 : 1;
}

function find({ paths, conf }: PlanRequest, manifests: string | undefined): { cluster: Cluster; pods: readonly Pod[] } {
  if (paths.length > 0) return new PodSources(paths);
  if (conf === "" || manifests === undefined)
    throw new UsageError('name the manifests with -f FILE, or a --conf FILE that has the key "manifests"');
  const cluster = new ManifestCluster(manifests);
  return { cluster, pods: cluster.pods() };
}

function choose(pods: readonly Pod[], wanted: string | undefined): readonly Pod[] {
  if (wanted === undefined) return pods;
  const [first = "", second] = wanted.split("/");
  const [namespace, name] = second === undefined ? ["default", first] : [first, second];
  const chosen = pods.filter((pod) => pod.namespace === namespace && pod.name === name);
  if (chosen.length > 0) return chosen;
  const names = pods.map((pod) => `${pod.namespace}/${pod.name}`).join(", ");
  throw new UsageError(`no pod ${namespace}/${name} in the manifests; they have ${names || "none"}`);
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
  const wishes = Object.entries(capabilityArgs).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  if (defaultRoute !== undefined) wishes.push(`default-route ${JSON.stringify(defaultRoute)}`);
  return wishes.join("\n");
}
