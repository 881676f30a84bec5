import { reportFailure } from "./failure.ts";
import { callNetwork } from "./network-call.ts";
import type { PlainWords } from "./plain-words.ts";
import { processTerminal } from "./terminal.ts";

/**
 * Runs `polynic add|check|del NETWORK NETNS` without the reader of command lines, which costs as much as the call itself. What fails is
 * told as the command line tells it. Returns the exit code.
 */
export async function callPlainly([verb, network, netns]: PlainWords): Promise<number> {
  const terminal = processTerminal();
  try {
    await callNetwork(verb, network, netns, Bun.env, terminal);
    return 0;
  } catch (error) {
    return reportFailure(error, terminal);
  }
}
