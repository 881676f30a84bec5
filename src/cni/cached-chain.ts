import { NetnsRef } from "../netns/ref.ts";
import { addList, type Attachment, checkList, delList, gcList, throwJoined } from "./chain.ts";
import { CniError, code, HalfUndoneError } from "./error.ts";
import type { Runtime } from "./plugin.ts";
import type { ValidAttachment } from "./net-conf.ts";
import type { NetworkList } from "./network-list.ts";
import type { AttachmentKey, CachedAttachment, ResultCache } from "./result-cache.ts";
import type { Result } from "./result.ts";
import { asVersion, impliedVersion } from "./version.ts";

/** As `addList`, and remembers the result; when that fails, the attachment is taken back, with errors as `addList` throws them. */
export async function addCached(
  runtime: Runtime,
  cache: ResultCache,
  list: NetworkList,
  attachment: Attachment,
): Promise<Result> {
  const result = await addList(runtime, list, attachment);
  try {
    cache.write(entryFor(list, attachment, result), asVersion(list.cniVersion) ?? impliedVersion);
    return result;
  } catch (error) {
    const undone = await delList(runtime, list, attachment, result).catch((failure: unknown) => CniError.from(failure));
    const cause = CniError.from(error);
    const details = undone === undefined ? "" : `undo: ${undone.message}`;
    const Failure = undone === undefined ? CniError : HalfUndoneError;
    const message = `failed to set network ${JSON.stringify(list.name)} cached result: ${cause.message}`;
    throw new Failure(cause.code, message, details, { cause });
  }
}

/**
 * As `delList` with what the cache remembers: the result, and the capability arguments and CNI_ARGS that `attachment` does not say
 * itself. The entry goes once all plugins succeeded. One that can't be read goes at once, and DEL does without it.
 */
export async function delCached(
  runtime: Runtime,
  cache: ResultCache,
  list: NetworkList,
  attachment: Attachment,
): Promise<void> {
  const key = { ...attachment, networkName: list.name };
  const cached = readLeniently(runtime, cache, key);
  const capabilityArgs = { ...cached?.capabilityArgs, ...attachment.capabilityArgs };
  const args = attachment.args === "" ? (cached?.args ?? "") : attachment.args;
  await delList(runtime, list, { ...attachment, capabilityArgs, args }, cached?.result);
  cache.delete(key);
}

/** As `checkList` with the remembered result; without one the plugins are asked nonetheless, and say that it is missing. */
export async function checkCached(
  runtime: Runtime,
  cache: ResultCache,
  list: NetworkList,
  attachment: Attachment,
): Promise<void> {
  await checkList(runtime, list, attachment, cache.read({ ...attachment, networkName: list.name })?.result);
}

/**
 * Garbage collection as libcni does it: every remembered attachment of this network that is not among the valid ones gets its DEL, then
 * the plugins clean up for themselves (`gcList`). Goes to the end and throws one `CniError` that joins all failures. A list that
 * disables GC succeeds at once.
 */
export async function gcCached(
  runtime: Runtime,
  cache: ResultCache,
  list: NetworkList,
  path: readonly string[],
  valid: readonly ValidAttachment[],
): Promise<void> {
  if (list.disableGC) return;
  const failures: CniError[] = [];
  const collect = async (prefix: string, work: Promise<void>) => {
    await work.catch((error: unknown) => failures.push(CniError.from(error).within(prefix)));
  };
  const { attachments, unreadable } = cache.list();
  for (const line of unreadable) runtime.log.error(`GC passes over a file: ${line}`);
  for (const stale of attachments.filter((each) => isStale(each, list, valid))) {
    using netns = new NetnsRef(stale.netnsPath);
    const prefix = `failed to delete stale attachment ${stale.containerId} ${stale.ifName}: `;
    await collect(prefix, delCached(runtime, cache, list, { ...stale, netns, path }));
  }
  await collect("", gcList(runtime, list, path, valid));
  throwJoined(failures);
}

function isStale(cached: CachedAttachment, list: NetworkList, valid: readonly ValidAttachment[]): boolean {
  const isValid = valid.some(
    ({ containerId, ifName }) => containerId === cached.containerId && ifName === cached.ifName,
  );
  return cached.networkName === list.name && !isValid;
}

function entryFor(list: NetworkList, attachment: Attachment, result: Result): CachedAttachment {
  const { containerId, ifName, netns, args, capabilityArgs } = attachment;
  const config = list.text;
  return { networkName: list.name, containerId, ifName, netnsPath: netns.path, args, capabilityArgs, config, result };
}

function readLeniently(runtime: Runtime, cache: ResultCache, key: AttachmentKey): CachedAttachment | undefined {
  try {
    return cache.read(key);
  } catch (error) {
    const cause = CniError.from(error);
    runtime.log.error(`DEL goes on without its cached result: ${cause.message}`);
    if (cause.code !== code.io) cache.delete(key);
    return undefined;
  }
}
