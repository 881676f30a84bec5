import type { AttachmentCall } from "../cni/plugin.ts";
import { deleteLinks } from "../plugins/common/remove-link.ts";
import { messageOf } from "../words/message.ts";
import type { JournalEntry } from "./journal.ts";
import type { Session } from "./session.ts";

/**
 * Deletes the links of all attachments in one request, so that the pod costs one grace period of the kernel instead of one per link.
 * Only interfaces whose whole chain is built in and whose first plugin made the link and may delete it (`ownsLink`): a device that
 * was moved into the pod must be moved back by its own plugin, and a foreign plugin may want to see its link. Best effort: the
 * plugins' own DEL follows and reports what is still there.
 */
export async function removeOwnedLinks(
  session: Session,
  call: AttachmentCall,
  entries: readonly JournalEntry[],
): Promise<void> {
  const netns = call.netns.openIfExists();
  if (netns === undefined) return;
  const names = [];
  for (const entry of entries) if (await ownsLink(session, entry)) names.push(entry.ifName);
  if (names.length < 2) return;
  try {
    deleteLinks(netns, names);
  } catch (error) {
    session.log.verbose(`links ${names.join(", ")} are deleted one by one: ${messageOf(error)}`);
  }
}

async function ownsLink({ runtime }: Session, { list }: JournalEntry): Promise<boolean> {
  for (const [index, { type }] of list.plugins.entries()) {
    const plugin = runtime.execPlugins.has(type) ? undefined : await runtime.builtin(type);
    if (plugin === undefined || (index === 0 && plugin.ownsLink !== true)) return false;
  }
  return true;
}
