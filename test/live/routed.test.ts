// The network that people write by hand: a /24 of the cluster's range for each node, a bridge and host-local, and routes between the nodes.
// A thousand pods on four nodes, made and deleted.
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { useLan, useTemporaryFolder } from "../kit/hooks.ts";
import type { PinnedNetns } from "../kit/node-netns.ts";
import { ping } from "../kit/ping.ts";

const example = join(import.meta.dirname, "..", "..", "conf-examples", "routed", "10-routed.conflist");
const nodeCount = 4;
const podsPerNode = 250;
const aWhileMs = 900_000;
const lan = useLan({ nodes: nodeCount });
const folder = useTemporaryFolder();

interface Pod {
  readonly node: number;
  readonly id: string;
  readonly netns: PinnedNetns;
}

/** The example's config for a node: its own /24, its own folders. */
function confOf(node: number): object {
  const state = join(folder().path, `node-${node}`);
  mkdirSync(join(state, "manifests"), { recursive: true });
  const list = JSON.parse(
    readFileSync(example, "utf8")
      .replace("172.16.1.0/24", `172.16.${node + 1}.0/24`)
      .replace("/var/lib/cni/multus", join(state, "cni"))
      .replace("conf-examples/pods", join(state, "manifests")),
  ) as { name: string; cniVersion: string; plugins: [{ delegates: [{ ipam: object }] }] };
  const [plugin] = list.plugins;
  plugin.delegates[0].ipam = { ...plugin.delegates[0].ipam, dataDir: join(state, "leases") };
  return { ...plugin, name: list.name, cniVersion: list.cniVersion, logFile: "" };
}

function joinNodes(): void {
  for (const [index, node] of lan().nodes.entries()) {
    node.ip(`addr add 192.168.7.${index + 1}/24 dev eth0`);
    node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward");
    for (let other = 0; other < nodeCount; other++)
      if (other !== index) node.ip(`route add 172.16.${other + 1}.0/24 via 192.168.7.${other + 1}`);
  }
}

async function call(command: "ADD" | "DEL", { node, id, netns }: Pod, conf: object): Promise<string> {
  const executable = join(polynicBin, "multus");
  const { result } = await mustCallCni({
    executable,
    command,
    containerId: id,
    netns: netns.path,
    ifName: "eth0",
    config: conf,
    node: lan().node(node),
  });
  const { ips = [] } = (result ?? {}) as { ips?: readonly { address: string }[] };
  return ips[0]?.address ?? "";
}

/** Runs `work` on every item, some at a time: the machine shall be busy, not choked. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}

test(
  "a thousand pods on four nodes have addresses of their own, reach each other by the nodes' routes, and leave nothing",
  async () => {
    joinNodes();
    const confs = Array.from({ length: nodeCount }, (_, node) => confOf(node));
    const pods = confs.flatMap((_, node) =>
      Array.from({ length: podsPerNode }, (__, index): Pod => ({
        node,
        id: `n${node}-p${index}`,
        netns: lan().node(node).pod(),
      })),
    );
    const addresses = new Map<Pod, string>();
    await each(pods, async (pod) => void addresses.set(pod, await call("ADD", pod, confs[pod.node] ?? {})));
    expect(new Set(addresses.values()).size).toBe(nodeCount * podsPerNode);
    for (const [pod, address] of addresses) expect(address).toMatch(new RegExp(`^172\\.16\\.${pod.node + 1}\\.`));
    for (let node = 0; node < nodeCount; node++) {
      const from = pods[node * podsPerNode];
      const to = pods[((node + 1) % nodeCount) * podsPerNode + podsPerNode - 1];
      if (from === undefined || to === undefined) throw new Error("a pod is missing");
      ping(from.netns.path, (addresses.get(to) ?? "").replace(/\/.*/, ""), { timeoutMs: 30_000 });
    }
    await each(pods, async (pod) => void (await call("DEL", pod, confs[pod.node] ?? {})));
    for (let node = 0; node < nodeCount; node++) {
      const leases = readdirSync(join(folder().path, `node-${node}`, "leases", "node"));
      expect(leases.filter((name) => name.startsWith("172."))).toEqual([]);
      const journal = readdirSync(join(folder().path, `node-${node}`, "cni"), { withFileTypes: true });
      expect(journal.filter((entry) => entry.isFile())).toEqual([]);
      expect(lan().node(node).run("ip", "-o", "link", "show", "master", "br-node")).toBe("");
    }
  },
  aWhileMs,
);
