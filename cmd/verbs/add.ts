import type { VerbModule } from "../verb-module.ts";
import { networkCommand } from "../network-command.ts";

export const command: VerbModule["command"] = (terminal) =>
  networkCommand("add", "Attaches NETNS to a network, as cnitool does, and prints the result.", terminal);
