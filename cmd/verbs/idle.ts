import { Command } from "commander";
import { untilTold } from "../daemon.ts";
import type { VerbModule } from "../verb-module.ts";

/** For pods whose work is done by their init containers: a DaemonSet's pod has to go on running. */
export const command: VerbModule["command"] = (_, finish) =>
  new Command("idle")
    .description("Waits until it is told to end (SIGTERM), and does nothing else.")
    .action(async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      untilTold().addEventListener("abort", () => resolve());
      // A timer keeps the process: a promise alone would not.
      const timer = setInterval(() => {}, 2 ** 30);
      await promise;
      clearInterval(timer);
      finish(0);
    });
