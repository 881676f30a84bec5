import { argument, parseArgs } from "../../cni/args.ts";
import { type CachedAttachment, ResultCache } from "../../cni/result-cache.ts";
import { SystemError } from "../../libc/errno.ts";
import { readTextIfExists } from "../../libc/file.ts";
import { identityOf, type VisibleNetns } from "../../netns/visible.ts";

/**
 * Whose namespace that is, for messages: "pod default/web (/run/netns/x)" where the runtime's cache of results knows the pod, "container
 * abc (/run/netns/x)" where it knows no more than that, else "process 42 (nginx)" or the path alone.
 */
export function describeNamespace({ path, processId }: VisibleNetns): string {
  const attachment = attachmentIn(path);
  if (attachment !== undefined) return `${nameOf(attachment)} (${path})`;
  if (processId === undefined) return path;
  const command = commandOf(processId);
  return command === "" ? `process ${processId}` : `process ${processId} (${command})`;
}

function attachmentIn(path: string): CachedAttachment | undefined {
  const identity = identityOf(path);
  if (identity === undefined) return undefined;
  const { attachments } = new ResultCache().list();
  const own = attachments.filter(({ netnsPath }) => netnsPath === path || identityOf(netnsPath) === identity);
  return own.find((each) => podOf(each) !== undefined) ?? own[0];
}

function nameOf(attachment: CachedAttachment): string {
  return podOf(attachment) ?? `container ${attachment.containerId}`;
}

/** What Kubernetes runtimes say in CNI_ARGS. */
function podOf({ args }: CachedAttachment): string | undefined {
  const pairs = parseArgs(args);
  const name = argument(pairs, "K8S_POD_NAME");
  return name === undefined ? undefined : `pod ${argument(pairs, "K8S_POD_NAMESPACE") ?? "default"}/${name}`;
}

function commandOf(processId: number): string {
  try {
    return readTextIfExists(`/proc/${processId}/comm`)?.trim() ?? "";
  } catch (error) {
    if (error instanceof SystemError) return "";
    throw error;
  }
}
