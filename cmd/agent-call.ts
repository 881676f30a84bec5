import { handOver } from "../src/agent/hand-over.ts";
import { agentSocket } from "../src/agent/protocol.ts";
import { FfiUnavailable, systemCalls } from "../src/libc/ffi.ts";
import { SYS_exit_group } from "../src/libc/system-calls.ts";
import { buildId } from "./version.ts";

/** POLYNIC_AGENT: another socket, or one of these words. */
const offWords = ["off", ""];

/**
 * Hands this process's CNI call to the node's agent and ends the process with its exit code. Comes back with undefined when the call is to be
 * done here: there is no agent, or it can't take this call. Comes back with the exit code when the agent lost the call, after saying so.
 */
export async function handedOver(name: string): Promise<number | undefined> {
  const path = Bun.env["POLYNIC_AGENT"] ?? agentSocket;
  // A trace of the kernel's messages is asked of this very process.
  if (offWords.includes(path) || Bun.env["POLYNIC_NLDEBUG"] !== undefined) return undefined;
  const outcome = tryHandOver(path, name);
  if (outcome === "not taken") return undefined;
  if (outcome !== "lost") {
    systemCalls().syscall(SYS_exit_group, outcome, 0, 0, 0, 0);
    return outcome;
  }
  const { sayLost } = await import("./agent-lost.ts");
  return sayLost();
}

function tryHandOver(path: string, name: string): ReturnType<typeof handOver> {
  try {
    return handOver(path, name, buildId, Bun.env);
  } catch (error) {
    // The call itself says so.
    if (error instanceof FfiUnavailable) return "not taken";
    throw error;
  }
}
