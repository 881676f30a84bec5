// One load on the node: pods made at once and deleted at once, and what containerd, the API server and the kernel say that it cost.
import { messageOf } from "../src/words/message.ts";
import type { AuditLog } from "../test/kit/audit-log.ts";
import type { CriNode, CriPod } from "../test/kit/cri-node.ts";
import type { KubeAdmin, KubeJson } from "../test/kit/kube-admin.ts";
import { accountOf, type NodeSides, type Side } from "./node-side.ts";
import { ProcessGroup } from "./process-group.ts";

export const metricsAddress = "127.0.0.1:1338";
const triesMax = 20;
const retryMs = 500;

export interface Load {
  readonly networks: number;
  readonly atOnce: number;
}

/** Sums over all pods of one or more runs of a load. */
export interface Cost {
  readonly pods: number;
  /** containerd's histograms: of RunPodSandbox calls, and of its CNI calls. */
  readonly sandboxMs: number;
  readonly addMs: number;
  readonly delMs: number;
  /** Until the last of them was ready, tries that were refused included. */
  readonly allReadyMs: number;
  readonly requests: number;
  readonly agentCalls: number;
  /** Why sandboxes were refused; each was tried again, as kubelet does. */
  readonly refusals: readonly string[];
}

export interface Accounts {
  readonly cpuMs: number;
  readonly peakMiB: number;
  /** Memory before the first call: an agent's. */
  readonly idleMiB: number;
  readonly pods: number;
}

export interface Site {
  readonly node: CriNode;
  readonly admin: KubeAdmin;
  readonly audit: AuditLog;
  readonly sides: NodeSides;
}

/** Runs a load on one side and times it. */
export async function runLoad(site: Site, side: Side, load: Load): Promise<Cost> {
  await site.sides.use(side);
  return await runInForce(site, side, load);
}

/** After some of these an agent's workers have done most of what they will do. */
export const warmLoad: Load = { networks: 1, atOnce: 4 };

/** Runs a load with all processes of the side in a control group. Not to be timed: joining it takes tens of milliseconds. */
export async function accountLoad(site: Site, side: Side, load: Load): Promise<Accounts> {
  const group = ProcessGroup.make();
  await site.sides.use(side, group);
  // An agent has started in it already, and on a node has done such calls before.
  const idleMiB = group.nowMiB();
  if (side === "agent") await runInForce(site, side, warmLoad);
  const { cpuMs: startMs } = group.usage();
  await runInForce(site, side, load);
  const { cpuMs, peakMiB } = group.usage();
  await site.sides.rest();
  await group.remove();
  return { cpuMs: cpuMs - startMs, peakMiB, idleMiB, pods: load.atOnce };
}

async function runInForce({ node, admin, audit, sides }: Site, side: Side, { networks, atOnce }: Load): Promise<Cost> {
  const objects = await Promise.all(Array.from({ length: atOnce }, () => createPod(admin, networks)));
  const user = `system:serviceaccount:kube-system:${accountOf(side)}`;
  audit.takeOf(user);
  const [before, callsBefore] = [await readings(), sides.agentCalls()];
  const refusals: string[] = [];
  const began = performance.now();
  const pods = await Promise.all(
    objects.map(({ metadata: { name = "", namespace = "", ...rest } }) =>
      asKubelet(refusals, async () => await node.runSandbox({ name, namespace, uid: String(rest["uid"]) })),
    ),
  );
  const allReadyMs = performance.now() - began;
  await Promise.all(pods.map(async (pod) => await node.removePod(pod)));
  const after = await readings();
  const requests = audit.takeOf(user).length;
  for (const object of objects) await admin.delete(object);
  if (after.addMs === before.addMs)
    throw new Error("containerd tells nothing of its CNI calls: another version than 1.6 or 1.7?");
  return {
    pods: atOnce,
    sandboxMs: after.sandboxMs - before.sandboxMs,
    addMs: after.addMs - before.addMs,
    delMs: after.delMs - before.delMs,
    allReadyMs,
    requests,
    agentCalls: sides.agentCalls() - callsBefore,
    refusals,
  };
}

let podCount = 0;

/** A pod of the API server's that is on no node of its: only its annotations matter here. */
export async function createPod(admin: KubeAdmin, networks: number): Promise<KubeJson> {
  const value = Array.from({ length: networks }, (_, index) => `lan${index}`).join(",");
  const annotations = { "k8s.v1.cni.cncf.io/networks": value };
  return await admin.create({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `pod-${podCount++}`, namespace: "default", annotations },
    spec: { nodeName: "node1", containers: [{ name: "main", image: "none" }] },
  });
}

async function asKubelet(refusals: string[], run: () => Promise<CriPod>): Promise<CriPod> {
  for (let left = triesMax; ; left--) {
    try {
      return await run();
    } catch (error) {
      if (left === 0) throw error;
      refusals.push(messageOf(error));
      await Bun.sleep(retryMs);
    }
  }
}

interface Readings {
  readonly sandboxMs: number;
  readonly addMs: number;
  readonly delMs: number;
}

/** Sums of containerd's own histograms, in milliseconds; 0 for what has not happened yet. */
async function readings(): Promise<Readings> {
  const text = await (await fetch(`http://${metricsAddress}/v1/metrics`)).text();
  const sumOf = (name: string, label: string): number =>
    Number(new RegExp(`^\\w*${name}\\w*_sum\\{[^}]*"${label}"[^}]*\\} (\\S+)`, "m").exec(text)?.[1] ?? 0) * 1000;
  return {
    sandboxMs: sumOf("grpc_server_handling_seconds", "RunPodSandbox"),
    addMs: sumOf("network_plugin_operations_duration_seconds", "set_up_pod"),
    delMs: sumOf("network_plugin_operations_duration_seconds", "tear_down_pod"),
  };
}

/** Of several runs of one load. */
export function sumCosts(costs: readonly Cost[]): Cost {
  const total = (key: Exclude<keyof Cost, "refusals">): number => costs.reduce((all, cost) => all + cost[key], 0);
  return {
    pods: total("pods"),
    sandboxMs: total("sandboxMs"),
    addMs: total("addMs"),
    delMs: total("delMs"),
    allReadyMs: total("allReadyMs"),
    requests: total("requests"),
    agentCalls: total("agentCalls"),
    refusals: costs.flatMap(({ refusals }) => refusals),
  };
}
