import { withPosition } from "../json/locate.ts";
import type { JsonObject, JsonValue } from "../json/value.ts";
import { NetnsRef } from "../netns/ref.ts";
import { CniError, code, HalfUndoneError, NotBegunError } from "./error.ts";
import { inject } from "./inject.ts";
import { invoke, type Invocation } from "./invoke.ts";
import { validateContainerId, validateInterfaceName, validateNetworkName } from "./names.ts";
import type { ValidAttachment } from "./net-conf.ts";
import type { NetworkList, PluginEntry } from "./network-list.ts";
import type { Runtime } from "./plugin.ts";
import { encodeResult } from "./result-encode.ts";
import type { Result } from "./result.ts";
import { withValidAttachments } from "./valid-attachments.ts";
import { asVersion, type CniVersion, isAtLeast, type Verb } from "./version.ts";

/** What a runtime says about one attachment (spec "Attachment Parameters"). */
export interface Attachment {
  readonly containerId: string;
  readonly ifName: string;
  readonly netns: NetnsRef;
  /** CNI_ARGS as text. */
  readonly args: string;
  /** CNI_PATH, in order. */
  readonly path: readonly string[];
  /** Capability arguments by capability; each plugin is given those that it declares. */
  readonly capabilityArgs: JsonObject;
}

/**
 * Runs ADD along the chain (spec "Adding an attachment") and gives the last plugin's result. When a plugin fails, it and those before it
 * get a DEL in reverse order. Throws `CniError` with the failing plugin's code; a `HalfUndoneError` when a DEL failed too, told in the details.
 */
export async function addList(runtime: Runtime, list: NetworkList, attachment: Attachment): Promise<Result> {
  validateNetworkName(list.name);
  validateContainerId(attachment.containerId);
  validateInterfaceName(attachment.ifName);
  const version = requireVersion(list);
  let result: Result | undefined;
  for (const [index, entry] of list.plugins.entries()) {
    try {
      const config = requestConfig(list, entry, attachment.capabilityArgs, encoded(result, version));
      result = await invoke(runtime, attachmentCall("ADD", entry, config, attachment));
      // Also for the caller's sake: a result that can't be printed must fail while it can be undone.
      encoded(result, version);
    } catch (error) {
      // One that has not begun has nothing to take back.
      const last = error instanceof NotBegunError ? index - 1 : index;
      const undone = await delPlugins(runtime, list, last, attachment, result);
      throw failed(error, list, entry, "add", undone);
    }
  }
  if (result === undefined) throw new CniError(code.invalidConfig, `network ${list.name} has no plugins`);
  return result;
}

/**
 * Runs DEL along the chain in reverse order (spec "Deleting an attachment"), to its end even when plugins fail: otherwise what the
 * plugins before the failing one hold would leak. `prevResult` is the result of the ADD, as far as it is known. Throws one `CniError` that
 * joins all failures, with the code of the first.
 */
export async function delList(
  runtime: Runtime,
  list: NetworkList,
  attachment: Attachment,
  prevResult?: Result,
): Promise<void> {
  throwJoined(await delPlugins(runtime, list, list.plugins.length - 1, attachment, prevResult));
}

/**
 * Runs CHECK along the chain (spec "Checking an attachment") with the result of the ADD; the first failure ends it. A list that disables
 * CHECK succeeds; one older than 0.4.0 is refused with code 1.
 */
export async function checkList(
  runtime: Runtime,
  list: NetworkList,
  attachment: Attachment,
  prevResult: Result | undefined,
): Promise<void> {
  const version = requireVersion(list);
  if (!isAtLeast(version, "0.4.0")) {
    throw new CniError(
      code.incompatibleVersion,
      `configuration version ${JSON.stringify(list.cniVersion)} does not support the CHECK command`,
    );
  }
  if (list.disableCheck) return;
  const prev = encoded(prevResult, version);
  for (const entry of list.plugins) {
    try {
      await invoke(
        runtime,
        attachmentCall("CHECK", entry, requestConfig(list, entry, attachment.capabilityArgs, prev), attachment),
      );
    } catch (error) {
      throw failed(error, list, entry, "check");
    }
  }
}

/** Asks each plugin whether it could serve an ADD; the first that can't is thrown as it is. A list older than 1.1.0 succeeds. */
export async function statusList(runtime: Runtime, list: NetworkList, path: readonly string[]): Promise<void> {
  if (!speaks110(list)) return;
  for (const entry of list.plugins) await invoke(runtime, networkCall("STATUS", entry, base(list, entry), path));
}

/**
 * Has each plugin clean up what belongs to none of the valid attachments (spec "Garbage-collecting a network"), to the end of the
 * chain even when plugins fail; throws one `CniError` that joins all failures. A list that disables GC, or is older than 1.1.0, succeeds.
 */
export async function gcList(
  runtime: Runtime,
  list: NetworkList,
  path: readonly string[],
  valid: readonly ValidAttachment[],
): Promise<void> {
  if (list.disableGC || !speaks110(list)) return;
  const failures: CniError[] = [];
  for (const entry of list.plugins) {
    try {
      await invoke(runtime, networkCall("GC", entry, withValidAttachments(base(list, entry), valid), path));
    } catch (error) {
      failures.push(failed(error, list, entry, "gc"));
    }
  }
  throwJoined(failures);
}

/** Throws the errors as one, if there are any: code of the first, texts and details joined. */
export function throwJoined(errors: readonly CniError[]): void {
  const [first, ...more] = errors;
  if (first === undefined) return;
  if (more.length === 0) throw first;
  const join = (texts: readonly string[]) => texts.filter((text) => text !== "").join("; ");
  const message = join(errors.map((each) => each.message));
  throw new CniError(first.code, message, join(errors.map(({ details }) => details)), { cause: errors });
}

async function delPlugins(
  runtime: Runtime,
  list: NetworkList,
  last: number,
  attachment: Attachment,
  prevResult: Result | undefined,
): Promise<CniError[]> {
  const failures: CniError[] = [];
  const prev = prevResultForDel(list, prevResult);
  for (const entry of list.plugins.slice(0, last + 1).toReversed()) {
    try {
      await invoke(
        runtime,
        attachmentCall("DEL", entry, requestConfig(list, entry, attachment.capabilityArgs, prev), attachment),
      );
    } catch (error) {
      failures.push(failed(error, list, entry, "delete"));
    }
  }
  return failures;
}

/** DEL has a prevResult from 0.4.0 on; a version that polynic does not know must not keep DEL from running. */
function prevResultForDel(list: NetworkList, result: Result | undefined): JsonObject | undefined {
  const version = asVersion(list.cniVersion);
  return version !== undefined && isAtLeast(version, "0.4.0") ? encoded(result, version) : undefined;
}

function encoded(result: Result | undefined, version: CniVersion): JsonObject | undefined {
  return result === undefined ? undefined : encodeResult(result, version);
}

function requireVersion(list: NetworkList): CniVersion {
  const version = asVersion(list.cniVersion);
  if (version !== undefined) return version;
  const text = JSON.stringify(list.cniVersion);
  throw new CniError(code.incompatibleVersion, "incompatible CNI versions", `network ${list.name} is ${text}`);
}

function speaks110(list: NetworkList): boolean {
  const version = asVersion(list.cniVersion);
  return version !== undefined && isAtLeast(version, "1.1.0");
}

/** What every plugin of the list is told, whatever its entry says. */
function base({ name, cniVersion }: NetworkList, { config }: PluginEntry): JsonObject {
  return inject(config, { cniVersion, name });
}

/** The request configuration of one plugin (spec "Deriving request configuration from plugin configuration"). */
export function requestConfig(
  list: NetworkList,
  entry: PluginEntry,
  capabilityArgs: JsonObject,
  prevResult?: JsonObject,
): JsonObject {
  const granted: Record<string, JsonValue> = {};
  for (const name of entry.capabilities) {
    const value = capabilityArgs[name];
    if (value !== undefined) granted[name] = value;
  }
  return inject(entry.config, {
    cniVersion: list.cniVersion,
    name: list.name,
    ...(prevResult !== undefined && { prevResult }),
    ...(Object.keys(granted).length > 0 && { runtimeConfig: granted }),
  });
}

function attachmentCall(verb: Verb, { type }: PluginEntry, config: JsonObject, attachment: Attachment): Invocation {
  const { containerId, ifName, netns, args, path } = attachment;
  return { verb, type, config, containerId, ifName, netns, args, path };
}

function networkCall(verb: Verb, { type }: PluginEntry, config: JsonObject, path: readonly string[]): Invocation {
  return { verb, type, config, path, containerId: "", ifName: "", netns: new NetnsRef(""), args: "" };
}

function failed(
  error: unknown,
  list: NetworkList,
  entry: PluginEntry,
  step: string,
  undoFailures: readonly CniError[] = [],
): CniError {
  const cause = CniError.from(error);
  const problem = cause.code === code.invalidConfig ? located(cause.message, list, entry) : cause.message;
  const message = `plugin type=${JSON.stringify(entry.type)} name=${JSON.stringify(list.name)} failed (${step}): ${problem}`;
  const details = [cause.details, ...undoFailures.map((each) => `undo: ${each.message}`)].filter((text) => text !== "");
  const Failure = undoFailures.length > 0 ? HalfUndoneError : CniError;
  return new Failure(cause.code, message, details.join("; "), { cause });
}

/** What is wrong with a plugin's config, with its place in what somebody has written: a list, or the config of a single plugin. */
function located(problem: string, { written, plugins }: NetworkList, entry: PluginEntry): string {
  if (written === undefined) return problem;
  const inList = withPosition(problem, written, `$.plugins[${plugins.indexOf(entry)}]`);
  return inList === problem && plugins.length === 1 ? withPosition(problem, written) : inList;
}
