import type { Command } from "commander";
import type { Terminal } from "./terminal.ts";

/** What a verb's file exports: its command, whose action returns the exit code through `finish`. */
export interface VerbModule {
  readonly command: (terminal: Terminal, finish: (exitCode: number) => void) => Command;
}
