import { handOver, type Patience } from "../src/agent/hand-over.ts";
import { agentSocket } from "../src/agent/protocol.ts";
import { buildId } from "./version.ts";

/** How long a worker is waited for before the call is done here: about what the call takes then. */
const readyTimeoutMs = 20;
/** While no processor is idle: 2.5 s in all. */
const roundsWhileBusy = 6;

/**
 * Hands this process's CNI call to the node's agent, and ends the process with its exit code; `begun` is what was read of standard input
 * before. Comes back with true when the call is to be done
 * here: there is no agent, it can't take this call, or POLYNIC_AGENT is "off"; any other value is the path of its socket, and after a comma how
 * many milliseconds a worker is waited for. Comes back with false when the agent began the call and lost it.
 */
export function mustActHere(name: string, begun?: Uint8Array): boolean {
  const given = Bun.env["POLYNIC_AGENT"];
  // A trace of the kernel's messages is asked of this very process.
  if (given === "" || given === "off" || Bun.env["POLYNIC_NLDEBUG"] !== undefined) return true;
  const netns = Bun.env["CNI_NETNS"] ?? "";
  const usual: Patience = { readyTimeoutMs, roundsWhileBusy };
  if (given === undefined) return handOver(agentSocket, usual, name, buildId, netns, begun);
  const [path = "", timeoutMs] = given.split(",");
  const patience = timeoutMs === undefined ? usual : { readyTimeoutMs: Number(timeoutMs) || 0, roundsWhileBusy: 0 };
  return handOver(path, patience, name, buildId, netns, begun);
}
