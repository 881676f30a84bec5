// The Go plugin and ours on one node: what one attached, the other checks and takes away.
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CniCall, mustCallCni, polynicBin } from "../kit/cni-caller.ts";
import { leftovers } from "../kit/diff.ts";
import { NodeNetns, type PinnedNetns } from "../kit/node-netns.ts";
import { peerTools } from "../kit/peer-tools.ts";
import { ping } from "../kit/ping.ts";
import { snapshot } from "../kit/snapshot.ts";
import { type TemporaryFolder, temporaryFolder } from "../kit/tmp.ts";

type Side = "go" | "ours";
const other = (side: Side): Side => (side === "go" ? "ours" : "go");

let node: NodeNetns;
let pod: PinnedNetns;
let folder: TemporaryFolder;
beforeEach(() => {
  node = new NodeNetns();
  pod = node.pod();
  folder = temporaryFolder();
});
afterEach(() => {
  node[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const ipam = () => ({
  type: "host-local",
  dataDir: folder.path,
  ranges: [[{ subnet: "10.1.2.0/24" }], [{ subnet: "fd00:1::/64" }]],
});
const config = () => ({
  cniVersion: "1.1.0",
  name: "pods",
  type: "bridge",
  isDefaultGateway: true,
  ipMasq: true,
  ipMasqBackend: "iptables",
  macspoofchk: true,
  ipam: ipam(),
});

function call(side: Side, command: string, more: Partial<CniCall> = {}, prevResult?: unknown): CniCall {
  const bin = side === "go" ? peerTools().bin : polynicBin;
  return {
    executable: join(bin, "bridge"),
    command,
    config: prevResult === undefined ? config() : { ...config(), prevResult },
    containerId: "ctr0",
    netns: pod.path,
    ifName: "net1",
    node,
    ...more,
  };
}

const state = () => ({
  node: snapshot(node.path),
  leases: node.run("sh", "-c", `ls ${folder.path}/pods | grep '^10\\|^fd' || true`),
});

/** What all pods share is there; `side` has made it. */
async function used(side: Side): Promise<unknown> {
  const { result } = await mustCallCni(call(side, "ADD"));
  await mustCallCni(call(side, "DEL", {}, result));
  return state();
}

test.each<Side>(["go", "ours"])(
  "what %s attached, the other checks, sees beside its own, and deletes",
  async (side) => {
    const before = await used(side);
    const { result } = await mustCallCni(call(side, "ADD"));
    await mustCallCni(call(other(side), "CHECK", {}, result));
    const neighbour = { netns: node.pod().path, containerId: "ctr1" };
    const second = await mustCallCni(call(other(side), "ADD", neighbour));
    ping(pod.path, "10.1.2.1");
    ping(
      neighbour.netns,
      pod.run("sh", "-c", "ip -o -4 addr show dev net1 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'").trim(),
    );
    await mustCallCni(call(side, "CHECK", neighbour, second.result));
    await mustCallCni(call(side, "DEL", neighbour, second.result));
    await mustCallCni(call(other(side), "DEL", {}, result));
    expect(leftovers(before, state())).toEqual([]);
  },
);

test("what Go attached, ours deletes without the pod's namespace", async () => {
  const before = await used("go");
  const { result } = await mustCallCni(call("go", "ADD"));
  await mustCallCni(call("ours", "DEL", { netns: "" }, result));
  expect(leftovers(before, state())).toEqual([]);
});
