import { readFileSync, writeFileSync } from "node:fs";
import { handOver } from "../src/controller/hand-over.ts";
import type { Holding } from "../src/controller/holding.ts";
import type { PoolRow } from "../src/controller/overview.ts";
import { parseReport, type Release, releaseReported, type Report, reportOf, waitMs } from "../src/controller/report.ts";
import { formatIp, parseIp } from "../src/ip/address.ts";
import { messageOf } from "../src/words/message.ts";
import { type IpamRequest, openApiIpam, openIpam } from "./ipam-source.ts";
import { formatValue } from "./output.ts";
import { type Column, formatTable } from "./table.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

/** Prints a row for every pool. Exit code 0. */
export async function showPools(request: IpamRequest, terminal: Terminal): Promise<number> {
  const { overview } = await openIpam(request);
  const text = formatTable(poolColumns, overview.pools, terminal.colours) || "There are no pools.\n";
  await terminal.out(formatValue({ pools: overview.pools }, request.output) ?? text);
  return 0;
}

/** Prints who holds an address. Exit code 1 when nobody does. */
export async function whoHolds(address: string, request: IpamRequest, terminal: Terminal): Promise<number> {
  const ip = parseIp(address);
  if (ip === undefined) throw new UsageError(`${JSON.stringify(address)} is no IP address`);
  const { overview, pools, survey } = await openIpam(request);
  const holders = overview.holdings
    .filter((holding) => holding.address === formatIp(ip))
    .map((holding) => holderOf(holding, survey.pods.get(holding.podref)));
  const text =
    formatTable(holderColumns, holders, terminal.colours) || `Nobody holds ${formatIp(ip)} in ${pools.where}.\n`;
  await terminal.out(formatValue({ address: formatIp(ip), holders }, request.output) ?? text);
  return holders.length === 0 ? 1 : 0;
}

/** Prints what has no holder or two, and writes it to a file when one is named. Exit code 1 when there is any such thing. */
export async function checkPools(
  request: IpamRequest & { readonly report: string },
  terminal: Terminal,
): Promise<number> {
  const { overview, pools, survey } = await openIpam(request);
  const report = reportOf(overview, pools.where, Date.now());
  if (request.report !== "") writeReport(request.report, report);
  const duplicates = overview.duplicates.map(({ address, pool, holders }) => ({
    address,
    pool,
    holders: holders.map(({ podref, ifName }) => `${podref} ${ifName}`),
  }));
  const lines = duplicates.map(
    ({ address, pool, holders }) => `duplicate: ${address} of pool ${pool} is held by ${holders.join(" and ")}\n`,
  );
  const lag = overview.pools.reduce((sum, row) => sum + row.indexLag, 0);
  const clean = `${overview.holdings.length} addresses looked at in ${pools.where}: none is leaked, none is held twice.\n`;
  const text = [
    formatTable(leakedColumns, report.leaked, terminal.colours),
    ...lines,
    ...(survey.isPartial === true ? [`Not all pods are told of in ${pools.where}: none counts as gone.\n`] : []),
    ...(lag === 0 ? [] : [`The maps of the pools are ${lag} entries behind the claims.\n`]),
    ...(report.leaked.length + duplicates.length === 0 ? [clean] : []),
  ].join("");
  await terminal.out(formatValue({ ...report, duplicates, indexLag: lag }, request.output) ?? text);
  return report.leaked.length + duplicates.length === 0 ? 0 : 1;
}

/** Releases what a report says and a second look confirms, and prints what became of each. Exit code 1 when one was kept. */
export async function releasePools(
  request: IpamRequest & { readonly fromReport: string },
  terminal: Terminal,
): Promise<number> {
  const report = readReport(request.fromReport);
  const left = waitMs(report, Date.now());
  if (left > 0)
    throw new UsageError(
      `${request.fromReport} was taken just now, and two looks a minute apart have to agree: try again in ${Math.ceil(left / 1000)} s`,
    );
  const { overview, pools, survey } = await openIpam(request);
  if (report.where !== pools.where)
    throw new UsageError(`${request.fromReport} is about ${report.where}, and not about ${pools.where}`);
  const done = await releaseReported(pools, report, survey, overview);
  const text = formatTable(releaseColumns, done, terminal.colours) || "The report names nothing.\n";
  await terminal.out(formatValue({ releases: done }, request.output) ?? text);
  return done.every(({ outcome }) => outcome === "released") ? 0 : 1;
}

/** Makes all that is ours into what whereabouts would have made, and prints how much that was. Exit code 0. */
export async function handOverPools(request: IpamRequest, terminal: Terminal): Promise<number> {
  if (request.manifests !== "")
    throw new UsageError("a directory of manifests is polynic's alone: there is nobody to hand anything over to");
  const { client, pools } = openApiIpam(request);
  const done = await handOver(client, pools.namespace, pools);
  const { entries, reservations, removed } = done;
  const text = `${entries} entries of ${done.pools} pools and ${reservations} reservations in ${pools.where} are whereabouts' own now; ${removed} reservations within one pool were removed.\n`;
  await terminal.out(formatValue({ ...done }, request.output) ?? text);
  return 0;
}

function writeReport(path: string, report: Report): void {
  try {
    writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
  } catch (cause) {
    throw new UsageError(`--report ${path}: ${messageOf(cause)}; name a file in a folder that can be written`, {
      cause,
    });
  }
}

function readReport(path: string): Report {
  try {
    return parseReport(readFileSync(path, "utf8"));
  } catch (cause) {
    const cure = `expected what "polynic ipam check --report FILE" writes`;
    throw new UsageError(`--from-report ${path}: ${messageOf(cause)}; ${cure}`, { cause });
  }
}

interface Holder {
  readonly pod: string;
  readonly uid: string;
  readonly interface: string;
  readonly node: string;
  readonly since: string;
  readonly container: string;
  readonly pool: string;
  readonly by: string;
}

function holderOf(holding: Holding, pod: { readonly uid: string; readonly node: string } | undefined): Holder {
  const { podref, podUid, ifName, node, since, containerId, pool, id } = holding;
  return {
    pod: podref,
    uid: podUid || (pod?.uid ?? ""),
    interface: ifName,
    node: node || (pod?.node ?? ""),
    since,
    container: containerId,
    pool,
    by: id,
  };
}

const poolColumns: readonly Column<PoolRow>[] = [
  { title: "POOL", cell: ({ pool }) => pool },
  { title: "RANGE", cell: ({ range }) => range },
  { title: "SIZE", cell: ({ size }) => size, isNumber: true },
  { title: "USED", cell: ({ used }) => String(used), isNumber: true },
  { title: "FREE", cell: ({ free }) => free, isNumber: true },
  { title: "LEAKED", cell: ({ leaked }) => String(leaked), isNumber: true },
  { title: "DUPLICATE", cell: ({ duplicate }) => String(duplicate), isNumber: true },
  { title: "INDEX LAG", cell: ({ indexLag }) => String(indexLag), isNumber: true },
];

const holderColumns: readonly Column<Holder>[] = [
  { title: "POD", cell: ({ pod }) => pod },
  { title: "INTERFACE", cell: (holder) => holder.interface },
  { title: "NODE", cell: ({ node }) => node || "-" },
  { title: "SINCE", cell: ({ since }) => since || "-" },
  { title: "POOL", cell: ({ pool }) => pool || "-" },
  { title: "HELD BY", cell: ({ by }) => by },
  { title: "UID", cell: ({ uid }) => uid || "-" },
];

const leakedColumns: readonly Column<Report["leaked"][number]>[] = [
  { title: "ADDRESS", cell: ({ address }) => address || "-" },
  { title: "POOL", cell: ({ pool }) => pool || "-" },
  { title: "POD", cell: ({ podref }) => podref },
  { title: "INTERFACE", cell: ({ ifName }) => ifName },
  { title: "HELD BY", cell: ({ id }) => id },
  { title: "WHY LEAKED", cell: ({ reason }) => reason },
];

const releaseColumns: readonly Column<Release>[] = [
  { title: "ADDRESS", cell: ({ item }) => item.address || "-" },
  { title: "POD", cell: ({ item }) => item.podref },
  { title: "HELD BY", cell: ({ item }) => item.id },
  { title: "OUTCOME", cell: ({ outcome }) => outcome },
  { title: "WHY", cell: ({ why }) => why },
];
