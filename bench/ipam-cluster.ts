// A cluster as far as one machine can play it: nodes of their own, whose pods are all made at once by the dispatcher.
import { ApiSite } from "../test/kit/api-site.ts";
import type { ApiServerFacts } from "../test/kit/api-server.ts";
import { AuditLog } from "../test/kit/audit-log.ts";
import { callCni } from "../test/kit/cni-caller.ts";
import { DuplicateDetector } from "../test/kit/duplicate-detector.ts";
import { inParallel } from "../test/kit/ipam-side.ts";
import type { SitePod } from "../test/kit/multus-site.ts";
import type { IpamFigures } from "./ipam-run.ts";
import { serverCpuMs } from "./server-cpu.ts";

export interface ClusterLoad {
  readonly range: string;
  readonly nodes: number;
  readonly podsPerNode: number;
  /** Processes at once on each node. */
  readonly width: number;
}

interface PodOfNode {
  readonly site: ApiSite;
  readonly node: string;
  readonly pod: SitePod;
  readonly sandbox: string;
}

const account = "system:serviceaccount:kube-system:polynic";
const statusKey = "k8s.v1.cni.cncf.io/network-status";

/**
 * ADD of the dispatcher for every pod, then DEL: a default network, and one whose addresses all nodes claim from one pool. A pod counts as made
 * when its network-status on the server has the address.
 */
export async function runCluster(api: ApiServerFacts, load: ClusterLoad): Promise<IpamFigures> {
  const sites: ApiSite[] = [];
  try {
    for (let node = 0; node < load.nodes; node++) sites.push(await makeSite(api, load));
    const pods: PodOfNode[] = [];
    for (const [node, site] of sites.entries())
      for (let index = 0; index < load.podsPerNode; index++)
        pods.push({ site, node: `node-${node}`, pod: await site.pod("lan"), sandbox: `${node}/${index}` });
    return await addAndDel(api, load, sites, pods);
  } finally {
    for (const site of sites) site[Symbol.dispose]();
  }
}

async function makeSite(api: ApiServerFacts, { range }: ClusterLoad): Promise<ApiSite> {
  const site = await ApiSite.make(api);
  const ipam = { type: "whereabouts", range, data_dir: site.local.path("whereabouts") };
  await site.network("lan", { ...site.local.macvlan("lan", range), ipam });
  return site;
}

async function addAndDel(
  api: ApiServerFacts,
  load: ClusterLoad,
  sites: readonly ApiSite[],
  pods: readonly PodOfNode[],
): Promise<IpamFigures> {
  const detector = new DuplicateDetector();
  const audit = new AuditLog(api);
  const addMs: number[] = [];
  const cpuBefore = serverCpuMs(api.folder);
  const addWallMs = await onAllNodes(load, sites, pods, async (each) => {
    const { exitCode, durationMs } = await call("ADD", each);
    if (exitCode === 0) addMs.push(durationMs);
  });
  const cpu = serverCpuMs(api.folder) - cpuBefore;
  const requests = audit.takeOf(account).length;
  for (const site of sites) await readStatuses(site, pods, detector);
  const delWallMs = await onAllNodes(load, sites, pods, async (each) => {
    detector.deleting(each.sandbox);
    await call("DEL", each);
  });
  return {
    addMs,
    addWallMs,
    delWallMs,
    failed: pods.length - detector.claims,
    requestsPerAdd: requests / pods.length,
    serverCpuMs: cpu,
    claims: detector.claims,
    duplicates: detector.duplicates.length,
  };
}

/** How long it took on all nodes at once. */
async function onAllNodes(
  { width }: ClusterLoad,
  sites: readonly ApiSite[],
  pods: readonly PodOfNode[],
  work: (each: PodOfNode) => Promise<void>,
): Promise<number> {
  const began = performance.now();
  await Promise.all(
    sites.map((site) =>
      inParallel(
        pods.filter((each) => each.site === site),
        width,
        work,
      ),
    ),
  );
  return performance.now() - began;
}

async function call(command: "ADD" | "DEL", { site, node, pod }: PodOfNode) {
  const cniCall = site.cniCall(command, pod);
  return await callCni({ ...cniCall, env: { ...cniCall.env, NODENAME: node }, deadlineMs: 150_000 });
}

/** The addresses of net1 as the server has them, of all pods of a node in one request. */
async function readStatuses(site: ApiSite, pods: readonly PodOfNode[], detector: DuplicateDetector): Promise<void> {
  const answer = await site.admin.send("GET", `/api/v1/namespaces/${site.namespace}/pods`);
  const items = answer["items"] as readonly { metadata: { name: string; annotations?: Record<string, string> } }[];
  const statuses = new Map(items.map(({ metadata }) => [metadata.name, metadata.annotations?.[statusKey] ?? "[]"]));
  for (const { site: own, pod, sandbox } of pods) {
    if (own !== site) continue;
    const entries = JSON.parse(statuses.get(pod.name) ?? "[]") as readonly { interface?: string; ips?: string[] }[];
    detector.added(sandbox, entries.find((entry) => entry.interface === "net1")?.ips ?? []);
  }
}
