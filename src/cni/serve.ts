import { FfiUnavailable } from "../libc/ffi.ts";
import { readStandardInput, writeStandardError, writeStandardOutput } from "../libc/standard.ts";
import type { JsonObject } from "../json/value.ts";
import { NetnsRef } from "../netns/ref.ts";
import { callBuiltin } from "./builtin.ts";
import { type Environment, readRequest, type Request, verbOf } from "./environment.ts";
import { CniError, code } from "./error.ts";
import { type Invocation, invoke } from "./invoke.ts";
import { parseConfigText, requireName } from "./net-conf.ts";
import { refuseOwnNetns } from "./own-netns.ts";
import type { Plugin, Runtime } from "./plugin.ts";
import { printError, printResult } from "./print.ts";
import { type Verb, versionAnswer, versionsSince } from "./version.ts";

/** What a plugin's process has of the world: `processEdges` for the real one, anything else in a test. */
export interface Edges {
  readonly environment: Environment;
  /** Standard input to its end. */
  readonly readStdin: () => Promise<string>;
  readonly writeStdout: (text: string) => Promise<unknown>;
  readonly writeStderr: (text: string) => Promise<unknown>;
}

/**
 * The edges of this process, or of a call with that environment that has this process's streams for its own: plain system calls, which start
 * none of the runtime's own machinery. Where system calls can't be made at all, that is what has to be said, and the runtime's slower way says
 * it. `begun` is what was read of standard input before.
 */
export function processEdges(environment: Environment = Bun.env, begun?: Uint8Array): Edges {
  return {
    environment,
    readStdin: async () => readStandardInput(begun),
    writeStdout: async (text) =>
      orSlowly(
        () => writeStandardOutput(text),
        () => Bun.write(Bun.stdout, text),
      ),
    writeStderr: async (text) =>
      orSlowly(
        () => writeStandardError(text),
        () => Bun.write(Bun.stderr, text),
      ),
  };
}

function orSlowly(write: () => void, writeSlowly: () => Promise<unknown>): unknown {
  try {
    return write();
  } catch (error) {
    if (error instanceof FfiUnavailable) return writeSlowly();
    throw error;
  }
}

/**
 * The whole life of a plugin that was called by its own name (spec "Execution Protocol"): the environment read, the config from stdin
 * checked, the verb run, the result or the error printed on stdout. Without CNI_COMMAND the about text goes to stderr. Returns the exit
 * code: 0, or 1 after an error. Never throws. `openRuntime` is only called for a verb that acts.
 */
export async function serve(
  plugin: Plugin,
  buildVersion: string,
  edges: Edges,
  openRuntime: (environment: Environment) => Runtime,
): Promise<number> {
  try {
    const request = readRequest(edges.environment);
    if (request === undefined) await edges.writeStderr(aboutText(plugin, buildVersion));
    else if (request.command === "VERSION") await edges.writeStdout(versionAnswer(plugin.since));
    else await answer(plugin, request, edges, openRuntime);
    return 0;
  } catch (error) {
    return fail(edges, CniError.from(error));
  }
}

async function answer(
  plugin: Plugin,
  request: Request,
  edges: Edges,
  openRuntime: (environment: Environment) => Runtime,
): Promise<void> {
  const text = await readStdin(edges);
  const { config, warnings } = parseConfigText(text);
  requireName(config);
  const verb = verbOf(request);
  const runtime = openRuntime(edges.environment);
  for (const warning of warnings) runtime.log.error(warning);
  using netns = new NetnsRef(request.netnsPath);
  if (!request.netnsOverride) refuseOwnNetns(verb, netns, runtime.host);
  try {
    await callBuiltin(
      plugin,
      runtime,
      invocationOf(plugin, request, verb, config, netns),
      invoke,
      async (result, conf) => {
        await edges.writeStdout(printResult(result, conf.cniVersion));
      },
    );
  } catch (error) {
    throw CniError.from(error).locatedIn(text);
  }
}

async function readStdin(edges: Edges): Promise<string> {
  try {
    return await edges.readStdin();
  } catch (cause) {
    if (cause instanceof FfiUnavailable) throw cause;
    throw new CniError(code.io, `error reading from stdin: ${CniError.from(cause).message}`, "", { cause });
  }
}

function invocationOf(plugin: Plugin, request: Request, verb: Verb, config: JsonObject, netns: NetnsRef): Invocation {
  const { containerId, ifName, args, path } = request;
  return { verb, type: plugin.name, config, containerId, ifName, netns, args, path };
}

function aboutText(plugin: Plugin, buildVersion: string): string {
  const supported = versionsSince(plugin.since).join(", ");
  return `CNI ${plugin.name} plugin ${buildVersion}\nCNI protocol versions supported: ${supported}\n`;
}

/** Reports on stdout; when even that fails, one line on stderr is all that is left, and the exit code. */
async function fail(edges: Edges, error: CniError): Promise<number> {
  try {
    await edges.writeStdout(printError(error));
  } catch (cause) {
    await edges
      .writeStderr(`polynic: ${error.message} (stdout is not writable: ${CniError.from(cause).message})\n`)
      .catch(() => undefined);
  }
  return 1;
}
