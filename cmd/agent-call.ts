import { handOver } from "../src/agent/hand-over.ts";
import { agentSocket } from "../src/agent/protocol.ts";
import { buildId } from "./version.ts";

/**
 * Hands this process's CNI call to the node's agent, and ends the process with its exit code. Comes back with true when the call is to be done
 * here: there is no agent, it can't take this call, or POLYNIC_AGENT is "off"; any other value is the path of its socket. Comes back with false
 * when the agent began the call and lost it.
 */
export function mustActHere(name: string): boolean {
  const path = Bun.env["POLYNIC_AGENT"] ?? agentSocket;
  // A trace of the kernel's messages is asked of this very process.
  if (path === "" || path === "off" || Bun.env["POLYNIC_NLDEBUG"] !== undefined) return true;
  return handOver(path, name, buildId, Bun.env["CNI_NETNS"] ?? "");
}
