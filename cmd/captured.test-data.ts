import { runCommandLine } from "./command-line.ts";
import { colours } from "./terminal.ts";

/** What a command line came to. */
export interface Captured {
  readonly exitCode: number;
  readonly out: string;
  readonly error: string;
}

/** Runs a command line as `polynic ARGS` does, without colours, and keeps what it says. */
export async function capture(...args: string[]): Promise<Captured> {
  let out = "";
  let error = "";
  const exitCode = await runCommandLine(args, {
    async out(text) {
      out += text;
    },
    async error(text) {
      error += text;
    },
    colours: colours(false),
    errorColours: colours(false),
  });
  return { exitCode, out, error };
}
