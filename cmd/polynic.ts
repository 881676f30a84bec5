import { pluginNames } from "./builtins.ts";

process.exitCode = await main(process.argv0.slice(process.argv0.lastIndexOf("/") + 1));

/** A plugin when called by a plugin's name, or by a runtime under any other name; else the command line, which is loaded only then. */
async function main(name: string): Promise<number> {
  const isPlugin = pluginNames.includes(name);
  if (isPlugin || (process.env["CNI_COMMAND"] ?? "") !== "") {
    const { callPlugin } = await import("./plugin-call.ts");
    return callPlugin(isPlugin ? name : "");
  }
  const { runCommandLine } = await import("./command-line.ts");
  const { commandWords } = await import("./aliases.ts");
  return runCommandLine(commandWords(name, Bun.argv.slice(2)));
}
