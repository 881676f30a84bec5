import type { VerbModule } from "../verb-module.ts";
import { networkCommand } from "../network-command.ts";

export const command: VerbModule["command"] = (terminal) =>
  networkCommand(
    "gc",
    "Deletes every attachment of a network that the cache knows, and has its plugins clean up.",
    terminal,
  );
