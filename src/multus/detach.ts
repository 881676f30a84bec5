import { delCached } from "../cni/cached-chain.ts";
import { CniError } from "../cni/error.ts";
import type { AttachmentCall } from "../cni/plugin.ts";
import { delegateCall } from "./delegate-call.ts";
import type { JournalEntry } from "./journal.ts";
import { removeOwnedLinks } from "./links.ts";
import type { Session } from "./session.ts";

/** Deletes entries last to first; returns what failed, each error naming its network and interface. */
export async function deleteEntries(
  session: Session,
  call: AttachmentCall,
  entries: readonly JournalEntry[],
): Promise<CniError[]> {
  const failures: CniError[] = [];
  await removeOwnedLinks(session, call, entries);
  for (const entry of entries.toReversed()) {
    try {
      await deleteAttachment(session, call, entry);
    } catch (error) {
      failures.push(
        CniError.from(error).within(
          `error deleting container from network "${entry.name}" (interface ${entry.ifName}): `,
        ),
      );
    }
  }
  return failures;
}

/** One attachment: its plugins get DEL in reverse, with the result of the ADD where it is still known. */
export async function deleteAttachment(session: Session, call: AttachmentCall, entry: JournalEntry): Promise<void> {
  await delCached(session.runtime, session.cache, entry.list, delegateCall(session, call, entry));
  session.log.verbose(`Del: ${entry.name} ${entry.ifName}`, { container: call.containerId });
}
