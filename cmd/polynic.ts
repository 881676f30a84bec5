import { versionAnswer } from "../src/cni/version.ts";
import { endIfSettled } from "../src/multus/settled-del.ts";
import { mustActHere } from "./agent-call.ts";
import { dispatcher, isPluginName } from "./builtins.ts";

process.exitCode = await main(process.argv0.slice(process.argv0.lastIndexOf("/") + 1));

/** A plugin when called by a plugin's name, or by a runtime under any other name; else the command line, which is loaded only then. */
async function main(name: string): Promise<number> {
  const isPlugin = isPluginName(name);
  const command = Bun.env["CNI_COMMAND"] ?? "";
  if (command === "VERSION" && (await answerVersion())) return 0;
  if (isPlugin || command !== "") {
    const begun = command === "DEL" && name === dispatcher ? endIfSettled(Bun.env) : undefined;
    if (command !== "" && !mustActHere(isPlugin ? name : "", begun)) {
      const { sayLost } = await import("./agent-lost.ts");
      return sayLost();
    }
    const { callPlugin } = await import("./plugin-call.ts");
    return callPlugin(isPlugin ? name : "", begun);
  }
  const { commandWords } = await import("./aliases.ts");
  const { plainWords } = await import("./plain-words.ts");
  const words = commandWords(name, Bun.argv.slice(2));
  const plain = plainWords(words);
  if (plain !== undefined) {
    const { callPlainly } = await import("./plain-call.ts");
    return callPlainly(plain);
  }
  // It may run for long, unlike a plugin: compile code as early as usual, see tools/compile.ts.
  Bun.unsafe.setJITPolicy(1);
  const { runCommandLine } = await import("./command-line.ts");
  return runCommandLine(words);
}

/**
 * The answer of every plugin, so that none has to be loaded for it: nothing is asked as often as VERSION, once per plugin and pod by some
 * runtimes. False when it can't be written; the plugin then says why.
 */
async function answerVersion(): Promise<boolean> {
  try {
    await Bun.write(Bun.stdout, versionAnswer());
    return true;
  } catch {
    return false;
  }
}
