import { Command } from "commander";
import { follow } from "../../src/ipam/whereabouts/start-index.ts";
import { openSource } from "../../src/ipam/whereabouts/store.ts";
import { statusIfExists } from "../../src/libc/file.ts";
import { silentLogger } from "../../src/log/logger.ts";
import type { Terminal } from "../terminal.ts";
import { UsageError } from "../usage-error.ts";

/** What whereabouts starts behind ADDs and DELs, for what nobody has to wait for. */
export function command(_terminal: Terminal, finish: (exitCode: number) => void): Command {
  return new Command("index-slices")
    .description(
      "Writes what this node has given out of its slices, and given back, into the pools, until nothing changes any more.",
    )
    .argument("<data_dir>", "where whereabouts keeps its journals on this node")
    .action(async (dataDir: string) => {
      if (statusIfExists(dataDir)?.kind !== "directory")
        throw new UsageError(
          `${dataDir} is no folder: name the one that the networks' "data_dir" of whereabouts names`,
        );
      const user = { log: silentLogger, runtime: { environment: { CNI_COMMAND: "index" } } };
      await follow(dataDir, (source) => openSource(source, user));
      finish(0);
    });
}
