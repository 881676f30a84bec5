// DEL of what is deleted already: containerd sends two to four for each pod.
import { join } from "node:path";
import { commandOf, type Side, sides } from "./node-side.ts";
import { createPod, type Site } from "./node-load.ts";
import { type Exec, time } from "./pair.ts";

const rounds = 40;

/** Wall milliseconds of each call, whole processes, by side. */
export type Deletions = Readonly<Record<Side, readonly number[]>>;

/** A pod with one network, made and removed through containerd on each side; then its DEL again and again, the sides in turn. */
export async function repeatedDeletions(site: Site): Promise<Deletions> {
  const { node, admin } = site;
  const calls: Partial<Record<Side, Exec>> = {};
  for (const side of sides) {
    await site.sides.use(side);
    const object = await createPod(admin, 1);
    const { name = "", namespace = "" } = object.metadata;
    const pod = await node.runSandbox({ name, namespace, uid: String(object.metadata["uid"]) });
    await node.removePod(pod);
    calls[side] = {
      command: [join(node.path("bin"), commandOf(side))],
      environment: {
        CNI_COMMAND: "DEL",
        CNI_CONTAINERID: pod.id,
        CNI_NETNS: "",
        CNI_IFNAME: "eth0",
        CNI_PATH: node.path("bin"),
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${pod.id}`,
        // The agent is there for its own side only.
        ...(side === "agent" ? {} : { POLYNIC_AGENT: "off" }),
      },
      stdin: JSON.stringify({ ...site.sides.plugin(side), cniVersion: "1.0.0", name: "multus-cni-network" }),
    };
  }
  const taken: Record<Side, number[]> = { multus: [], polynic: [], agent: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const side of sides) {
      const call = calls[side];
      if (call === undefined) continue;
      const elapsed = time(call);
      if (round > 0) taken[side].push(elapsed);
    }
  }
  return taken;
}
