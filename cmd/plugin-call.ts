import { CniError, code } from "../src/cni/error.ts";
import type { Environment } from "../src/cni/environment.ts";
import type { Runtime } from "../src/cni/plugin.ts";
import { parseConfigText } from "../src/cni/net-conf.ts";
import { printError } from "../src/cni/print.ts";
import { type Edges, processEdges, serve } from "../src/cni/serve.ts";
import { FfiUnavailable } from "../src/libc/ffi.ts";
import { exitNow } from "../src/libc/standard.ts";
import { getField } from "../src/json/struct.ts";
import type { LogLevel } from "../src/log/logger.ts";
import { defaultLogOptions, openLogger } from "../src/log/open.ts";
import { Netns } from "../src/netns/netns.ts";
import { findBuiltin, pluginNames } from "./builtins.ts";
import { version } from "./version.ts";

/** How long a foreign plugin may run when no config says otherwise. */
const delegateTimeoutMs = 120_000;

/** What answers VERSION when the config does not say which plugin is meant: it speaks every version that any of them speaks. */
const anyPlugin = "passthru";

type RuntimeOpener = (environment: Environment) => Runtime;

/**
 * Acts as the CNI plugin of that name, or, for "", as the one that the config's "type" names, and ends the process with the exit code;
 * what went wrong is on stdout as the specification has it. `begun` is what was read of standard input before. Comes back, with the code, only
 * where no system calls can be made.
 */
export async function callPlugin(name: string, begun?: Uint8Array): Promise<number> {
  const status = await answer(name, processEdges(Bun.env, begun));
  try {
    return exitNow(status);
  } catch (error) {
    if (error instanceof FfiUnavailable) return status;
    throw error;
  }
}

/** As `callPlugin`, for a call with these edges and what `open` gives it; returns the exit code. */
export async function answer(name: string, edges: Edges, open: RuntimeOpener = openRuntime): Promise<number> {
  try {
    if (name !== "") return await serveAs(name, edges, open);
    const stdin = await edges.readStdin();
    return await serveAs(typeOf(stdin, edges.environment), { ...edges, readStdin: async () => stdin }, open);
  } catch (error) {
    await edges.writeStdout(printError(CniError.from(error)));
    return 1;
  }
}

async function serveAs(name: string, edges: Edges, open: RuntimeOpener): Promise<number> {
  const plugin = await findBuiltin(name);
  if (plugin === undefined) {
    throw new CniError(
      code.invalidConfig,
      `polynic has no plugin ${JSON.stringify(name)}`,
      `built in are ${pluginNames().join(", ")}; other types are executed by the runtime, or by a delegating plugin`,
    );
  }
  return serve(plugin, version, edges, open);
}

function typeOf(stdin: string, environment: Environment): string {
  if (environment["CNI_COMMAND"] === "VERSION") return anyPlugin;
  const type = getField(parseConfigText(stdin).config, "type");
  if (typeof type === "string" && type !== "") return type;
  throw new CniError(
    code.invalidConfig,
    'the config has no "type"',
    "called as polynic, the type says which plugin is meant; or call it by the plugin's own name",
  );
}

/** What plugins that this process calls share: built-in plugins first, what they log from `level` on to standard error. */
export function openRuntime(environment: Environment, level: LogLevel = "error"): Runtime {
  return {
    builtin: findBuiltin,
    builtinNames: pluginNames,
    execPlugins: new Set(),
    host: Netns.current(),
    log: openLogger({ ...defaultLogOptions, level, file: "" }),
    delegateTimeoutMs,
    environment,
  };
}
