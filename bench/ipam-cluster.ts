// A cluster as far as one machine can play it: nodes of their own, whose pods are all made at once by the dispatcher.
import { TestAgent } from "../test/kit/agent.ts";
import { ApiSite } from "../test/kit/api-site.ts";
import type { ApiServerFacts } from "../test/kit/api-server.ts";
import { AuditLog } from "../test/kit/audit-log.ts";
import { callCni, type CniOutcome } from "../test/kit/cni-caller.ts";
import { DuplicateDetector } from "../test/kit/duplicate-detector.ts";
import { inParallel } from "../test/kit/ipam-side.ts";
import type { SitePod } from "../test/kit/multus-site.ts";
import { countAgentCalls, type IpamFigures, measurePhase, type Meters } from "./ipam-run.ts";

export interface ClusterLoad {
  readonly range: string;
  readonly nodes: number;
  readonly podsPerNode: number;
  /** Processes at once on each node. */
  readonly width: number;
}

/** What the cluster is run with. */
export interface ClusterOptions {
  /** Process id. */
  readonly controller: number;
  /** Each node has one of its own, which has served pods before. */
  readonly hasAgents: boolean;
}

interface NodeOfCluster {
  readonly name: string;
  readonly site: ApiSite;
  readonly agent: TestAgent | undefined;
}

interface PodOfNode {
  readonly node: NodeOfCluster;
  readonly pod: SitePod;
  readonly sandbox: string;
}

const account = "system:serviceaccount:kube-system:polynic";
const statusKey = "k8s.v1.cni.cncf.io/network-status";
/** Pods that each node's agent serves before, two at once. */
const warmPods = 12;

/**
 * ADD of the dispatcher for every pod, then DEL: a default network, and one whose addresses all nodes claim from one pool. A pod counts as made
 * when its network-status on the server has the address.
 */
export async function runCluster(
  api: ApiServerFacts,
  load: ClusterLoad,
  options: ClusterOptions,
): Promise<IpamFigures> {
  await using nodes = new AsyncDisposableStack();
  const made: NodeOfCluster[] = [];
  for (let index = 0; index < load.nodes; index++) {
    const site = nodes.use(await makeSite(api, load));
    const { node, folder } = site.local;
    const agent = options.hasAgents ? nodes.use(await TestAgent.start({ folder: folder.path, node })) : undefined;
    made.push({ name: `node-${index}`, site, agent });
  }
  if (options.hasAgents) await warm(load, made);
  return await addAndDel(api, load, options, made, await makePods(made, load.podsPerNode, "p"));
}

async function makeSite(api: ApiServerFacts, { range }: ClusterLoad): Promise<ApiSite> {
  const site = await ApiSite.make(api);
  const ipam = { type: "whereabouts", range, data_dir: site.local.path("whereabouts") };
  await site.network("lan", { ...site.local.macvlan("lan", range), ipam });
  return site;
}

async function makePods(nodes: readonly NodeOfCluster[], perNode: number, mark: string): Promise<PodOfNode[]> {
  const pods: PodOfNode[] = [];
  for (const node of nodes)
    for (let index = 0; index < perNode; index++)
      pods.push({ node, pod: await node.site.pod("lan"), sandbox: `${node.name}/${mark}${index}` });
  return pods;
}

async function warm(load: ClusterLoad, nodes: readonly NodeOfCluster[]): Promise<void> {
  const pods = await makePods(nodes, warmPods, "w");
  const gently = { ...load, width: 2 };
  for (const command of ["ADD", "DEL"] as const)
    await onAllNodes(gently, nodes, pods, async (each) => (await call(command, each)).cpuMs);
}

async function addAndDel(
  server: ApiServerFacts,
  load: ClusterLoad,
  { controller }: ClusterOptions,
  nodes: readonly NodeOfCluster[],
  pods: readonly PodOfNode[],
): Promise<IpamFigures> {
  const detector = new DuplicateDetector();
  const audit = new AuditLog(server);
  const agents = nodes.flatMap(({ agent }) => agent ?? []);
  const requests = (): number => audit.takeOf(account).length;
  const meters: Meters = { server, requests, agents, controllers: [controller] };
  const addMs: number[] = [];
  const callsBefore = countAgentCalls(agents);
  const add = await measurePhase(meters, async () => {
    return await onAllNodes(load, nodes, pods, async (each) => {
      const { exitCode, durationMs, cpuMs } = await call("ADD", each);
      if (exitCode === 0) addMs.push(durationMs);
      return cpuMs;
    });
  });
  for (const { site } of nodes) await readStatuses(site, pods, detector);
  const del = await measurePhase(meters, async () => {
    return await onAllNodes(load, nodes, pods, async (each) => {
      detector.deleting(each.sandbox);
      return (await call("DEL", each)).cpuMs;
    });
  });
  const { claims, duplicates } = detector;
  const agentCalls = countAgentCalls(agents) - callsBefore;
  return { addMs, add, del, failed: pods.length - claims, claims, duplicates: duplicates.length, agentCalls };
}

/** The processor time of all calls, on all nodes at once. */
async function onAllNodes(
  { width }: ClusterLoad,
  nodes: readonly NodeOfCluster[],
  pods: readonly PodOfNode[],
  work: (each: PodOfNode) => Promise<number>,
): Promise<number> {
  let cpuMs = 0;
  const onNode = async (node: NodeOfCluster): Promise<void> => {
    const own = pods.filter((each) => each.node === node);
    await inParallel(own, width, async (each) => {
      const usedMs = await work(each);
      cpuMs += usedMs;
    });
  };
  await Promise.all(nodes.map(onNode));
  return cpuMs;
}

async function call(command: "ADD" | "DEL", { node, pod }: PodOfNode): Promise<CniOutcome> {
  const cniCall = node.site.cniCall(command, pod);
  const env = { ...cniCall.env, NODENAME: node.name, POLYNIC_AGENT: node.agent?.socket ?? "off" };
  return await callCni({ ...cniCall, env, deadlineMs: 150_000 });
}

/** The addresses of net1 as the server has them, of all pods of a node in one request. */
async function readStatuses(site: ApiSite, pods: readonly PodOfNode[], detector: DuplicateDetector): Promise<void> {
  const answer = await site.admin.send("GET", `/api/v1/namespaces/${site.namespace}/pods`);
  const items = answer["items"] as readonly { metadata: { name: string; annotations?: Record<string, string> } }[];
  const statuses = new Map(items.map(({ metadata }) => [metadata.name, metadata.annotations?.[statusKey] ?? "[]"]));
  for (const { node, pod, sandbox } of pods) {
    if (node.site !== site) continue;
    const entries = JSON.parse(statuses.get(pod.name) ?? "[]") as readonly { interface?: string; ips?: string[] }[];
    detector.added(sandbox, entries.find((entry) => entry.interface === "net1")?.ips ?? []);
  }
}
