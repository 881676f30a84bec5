import { type UndoScope, withUndo } from "../undo/undo.ts";
import { noArgs, parseArgs } from "./args.ts";
import { CniError, code, NotBegunError } from "./error.ts";
import type { Invocation } from "./invoke.ts";
import { delegateIpam, type Invoke } from "./ipam-delegate.ts";
import { type NetConf, parseNetConf } from "./net-conf.ts";
import type { AttachmentCall, Call, Plugin, Runtime } from "./plugin.ts";
import { emptyResult, type Result } from "./result.ts";
import { readValidAttachments } from "./valid-attachments.ts";

/** What becomes of the result of an ADD while the plugin's work can still be taken back: throwing here undoes the ADD. */
export type Deliver = (result: Result, conf: NetConf) => void | Promise<void>;

/**
 * Calls a built-in plugin: the config parsed and its version checked, the typed call built, the verb run. A failed ADD is unwound before
 * this throws; what can't be unwound is logged. DEL and GC go on with `config` undefined when the plugin's own parse refuses the
 * config. ADD gives the result, every other verb undefined. Throws `CniError` only.
 */
export async function callBuiltin(
  plugin: Plugin,
  runtime: Runtime,
  invocation: Invocation,
  invoke: Invoke,
  deliver?: Deliver,
): Promise<Result | undefined> {
  try {
    const { conf, warnings } = beforeTheFirstStep(() => parseNetConf(invocation.config, invocation.verb, plugin.since));
    for (const warning of warnings) runtime.log.error(warning);
    const ipam = await delegateIpam(runtime, invocation, conf, invoke);
    return await run(
      plugin,
      { conf, ipam, host: runtime.host, log: runtime.log, runtime, path: invocation.path },
      invocation,
      deliver,
    );
  } catch (error) {
    throw CniError.from(error);
  }
}

async function run(plugin: Plugin, call: Call, invocation: Invocation, deliver?: Deliver): Promise<Result | undefined> {
  switch (invocation.verb) {
    case "ADD":
      return undoing(call, (undo) => add(plugin, attachmentCall(call, invocation), undo, deliver));
    case "DEL":
      await del(plugin, attachmentCall(call, invocation));
      break;
    case "CHECK":
      await check(plugin, attachmentCall(call, invocation));
      break;
    case "STATUS":
      await plugin.status?.({ ...call, config: plugin.parse(call.conf, noArgs, "STATUS") });
      break;
    case "GC":
      await collect(plugin, call);
      break;
    case "VERSION":
      break;
  }
  return undefined;
}

function attachmentCall(call: Call, { containerId, ifName, netns, args }: Invocation): AttachmentCall {
  return { ...call, containerId, ifName, netns, args: parseArgs(args) };
}

/** Throws what `body` throws; when not all of it could be taken back, no `NotBegunError` of a delegate passes for the plugin's own. */
async function undoing<T>({ log }: Call, body: (undo: UndoScope) => Promise<T>): Promise<T> {
  let isClean = true;
  try {
    return await withUndo(body, (failure) => {
      isClean = false;
      log.error(failure.message);
    });
  } catch (error) {
    if (isClean || !(error instanceof NotBegunError)) throw error;
    throw new CniError(error.code, error.message, error.details, { cause: error });
  }
}

async function add(plugin: Plugin, call: AttachmentCall, undo: UndoScope, deliver?: Deliver): Promise<Result> {
  const config = beforeTheFirstStep(() => plugin.parse(call.conf, call.args, "ADD"));
  const result = await plugin.add({ ...call, config, undo });
  await deliver?.(result, call.conf);
  return result;
}

function beforeTheFirstStep<T>(check: () => T): T {
  try {
    return check();
  } catch (cause) {
    const { code, message, details } = CniError.from(cause);
    throw new NotBegunError(code, message, details, { cause });
  }
}

async function del(plugin: Plugin, call: AttachmentCall): Promise<void> {
  const config = parseLeniently(call, () => plugin.parse(call.conf, call.args, "DEL"));
  await plugin.del({ ...call, config });
}

async function check(plugin: Plugin, call: AttachmentCall): Promise<void> {
  const prevResult = call.conf.prevResult ?? (plugin.remembersResults ? emptyResult : undefined);
  if (prevResult === undefined) {
    throw new CniError(code.invalidConfig, "Required prevResult missing", "CHECK needs the result of the ADD");
  }
  await plugin.check?.({ ...call, config: plugin.parse(call.conf, call.args, "CHECK"), prevResult });
}

/** Without a list of valid attachments nothing is known to be stale, so nothing is removed; an empty list makes everything stale. */
async function collect(plugin: Plugin, call: Call): Promise<void> {
  if (plugin.gc === undefined) return;
  const valid = readValidAttachments(call.conf.raw);
  if (valid === undefined) {
    call.log.error(`GC of network ${call.conf.name} lists no cni.dev/valid-attachments; nothing is removed`);
    return;
  }
  await plugin.gc({ ...call, valid, config: parseLeniently(call, () => plugin.parse(call.conf, noArgs, "GC")) });
}

/** What is to be cleaned up was made by an older config: that this one is refused must not keep it from being cleaned up. */
function parseLeniently<Config>({ conf, log }: Call, parse: () => Config): Config | undefined {
  try {
    return parse();
  } catch (error) {
    log.error(`cleaning up network ${conf.name} without its config: ${CniError.from(error).message}`);
    return undefined;
  }
}
