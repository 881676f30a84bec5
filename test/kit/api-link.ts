// A way from a node's namespace to what listens in the lane's: a veth pair of its own, beside the node's networks.
import { threadId } from "node:worker_threads";
import { apiAddress } from "./api-server.ts";
import { runCommand } from "./command.ts";
import type { NodeNetns } from "./node-netns.ts";

const nodesPerThread = 256;
let count = 0;

/** Puts `apiAddress` on the loopback of this thread's namespace, where servers of tests listen on all addresses. */
export function addApiAddress(): void {
  runCommand(["ip", "addr", "replace", `${apiAddress}/32`, "dev", "lo"]);
}

/** Makes `apiAddress` reachable from the node, by the interface api0. The link goes with the node. */
export function linkToApi(node: NodeNetns): void {
  const number = (threadId % 64) * nodesPerThread + (count++ % nodesPerThread);
  const address = `169.254.${128 + (number >> 8)}.${number & 255}`;
  const ours = `api${number}`;
  addApiAddress();
  runCommand(["ip", "-batch", "-"], {
    stdin: [
      `link add ${ours} type veth peer name api0 netns ${node.name}`,
      `link set ${ours} up`,
      `route replace ${address} dev ${ours}`,
      "",
    ].join("\n"),
  });
  node.ip(`addr add ${address}/32 dev api0`, "link set api0 up", `route add ${apiAddress} dev api0 src ${address}`);
}
