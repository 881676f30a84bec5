import type { VerbModule } from "../verb-module.ts";
import { networkCommand } from "../network-command.ts";

export const command: VerbModule["command"] = (terminal) =>
  networkCommand("del", "Detaches NETNS from a network.", terminal);
