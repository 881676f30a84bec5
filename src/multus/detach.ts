import { delCached } from "../cni/cached-chain.ts";
import { CniError } from "../cni/error.ts";
import type { AttachmentCall } from "../cni/plugin.ts";
import { delegateCall } from "./delegate-call.ts";
import { removeDeviceInfo } from "./device-info.ts";
import type { JournalEntry } from "./journal.ts";
import { removeOwnedLinks } from "./links.ts";
import type { Session } from "./session.ts";

/** An attachment that could not be deleted; the error names its network and interface. */
export interface DetachFailure {
  readonly entry: JournalEntry;
  readonly error: CniError;
}

/** Deletes entries last to first and to the end, each by its plugins' DEL in reverse; returns what failed. */
export async function deleteEntries(
  session: Session,
  call: AttachmentCall,
  entries: readonly JournalEntry[],
): Promise<DetachFailure[]> {
  const failures: DetachFailure[] = [];
  await removeOwnedLinks(session, call, entries);
  for (const entry of entries.toReversed()) {
    try {
      // With the result of the ADD where it is still known.
      await delCached(session.runtime, session.cache, entry.list, delegateCall(session, call, entry));
      removeDeviceInfo(entry, call.containerId, session.log);
      session.log.verbose(`Del: ${entry.name} ${entry.ifName}`, { container: call.containerId });
    } catch (error) {
      const where = `error deleting container from network "${entry.name}" (interface ${entry.ifName}): `;
      failures.push({ entry, error: CniError.from(error).within(where) });
    }
  }
  return failures;
}
