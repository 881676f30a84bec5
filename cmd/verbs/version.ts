import { Command } from "commander";
import type { VerbModule } from "../command-line.ts";
import { version } from "../version.ts";

export const command: VerbModule["command"] = (terminal) =>
  new Command("version").action(async () => {
    await terminal.out(`polynic ${version}\n`);
  });
