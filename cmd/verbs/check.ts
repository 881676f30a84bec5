import { type VerbModule } from "../command-line.ts";
import { networkCommand } from "../network-command.ts";

export const command: VerbModule["command"] = (terminal) =>
  networkCommand("check", "Checks that what add made is still there.", terminal);
