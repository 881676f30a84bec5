import { Command } from "commander";
import { versionsSince } from "../../src/cni/version.ts";
import { pluginNames } from "../builtins.ts";
import type { VerbModule } from "../verb-module.ts";
import { version } from "../version.ts";

export const command: VerbModule["command"] = (terminal) =>
  new Command("version")
    .description("Prints the version, the plugins that are built in, and the CNI versions they speak.")
    .action(async () => {
      await terminal.out(
        `polynic ${version}\nplugins ${pluginNames().join(" ")}\nCNI ${versionsSince(undefined).join(" ")}\n`,
      );
    });
