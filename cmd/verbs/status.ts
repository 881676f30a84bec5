import type { VerbModule } from "../verb-module.ts";
import { networkCommand } from "../network-command.ts";

export const command: VerbModule["command"] = (terminal) =>
  networkCommand("status", "Asks whether a network could serve an add now.", terminal);
