import type { Attachment as ListAttachment } from "../cni/chain.ts";
import type { AttachmentCall } from "../cni/plugin.ts";
import type { JournalEntry } from "./journal.ts";
import type { Session } from "./session.ts";

/** How a network's plugins are called for this container; results are cached where Multus caches them. */
export function delegateCall(
  session: Session,
  call: Pick<AttachmentCall, "containerId" | "netns">,
  entry: Pick<JournalEntry, "ifName" | "args" | "capabilityArgs">,
): ListAttachment {
  return {
    containerId: call.containerId,
    netns: call.netns,
    ifName: entry.ifName,
    args: entry.args,
    capabilityArgs: entry.capabilityArgs,
    path: session.path,
  };
}
