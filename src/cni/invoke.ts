import type { JsonObject } from "../json/value.ts";
import type { NetnsRef } from "../netns/ref.ts";
import { callBuiltin } from "./builtin.ts";
import type { Runtime } from "./plugin.ts";
import type { Result } from "./result.ts";
import type { Verb } from "./version.ts";

/** One plugin call as a value: what the environment and stdin of a foreign plugin say, and what a built-in is called with. */
export interface Invocation {
  readonly verb: Verb;
  readonly type: string;
  /** The finished config: name, cniVersion, prevResult and runtimeConfig injected. */
  readonly config: JsonObject;
  readonly containerId: string;
  readonly ifName: string;
  readonly netns: NetnsRef;
  /** CNI_ARGS as text. */
  readonly args: string;
  /** CNI_PATH, in order. */
  readonly path: readonly string[];
}

/**
 * Calls one plugin: the built-in of that name as a function, unless `execPlugins` names it, any other as a process found in
 * `invocation.path`. ADD gives the plugin's result, every other verb undefined. Throws `CniError`, with the code that the plugin chose.
 */
export async function invoke(runtime: Runtime, invocation: Invocation): Promise<Result | undefined> {
  const plugin = runtime.execPlugins.has(invocation.type) ? undefined : await runtime.builtin(invocation.type);
  if (plugin !== undefined) return callBuiltin(plugin, runtime, invocation, invoke);
  const { callForeign } = await import("./foreign.ts");
  return callForeign(runtime, invocation);
}
