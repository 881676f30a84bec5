import { type VerbModule } from "../command-line.ts";
import { networkCommand } from "../network-command.ts";

export const command: VerbModule["command"] = (terminal) =>
  networkCommand("del", "Detaches NETNS from a network.", terminal);
