import { throwJoined } from "../cni/chain.ts";
import { CniError } from "../cni/error.ts";
import type { DelCall } from "../cni/plugin.ts";
import { type MultusConf, salvageConf } from "./config.ts";
import { removeDeviceInfoOf } from "./device-info.ts";
import { deleteEntries, type DetachFailure } from "./detach.ts";
import { readJournal, removeJournal } from "./journal.ts";
import { ContainerLock } from "./lock.ts";
import { rescueEntries } from "./rescue.ts";
import { openSession, podIdentity, podLabel, type Session, underLock } from "./session.ts";
import { isSettled, markSettled } from "../cni/settled.ts";

/**
 * Takes a container off all its networks, in reverse order and to the end even when one fails. It needs the journal alone: no API
 * server, no NetworkAttachmentDefinition, no namespace; and where the journal is missing or torn, whatever else still tells what was
 * attached. Repeating it is cheap and succeeds. Throws one `CniError` that lists what could not be freed; the journal stays then, so
 * that the runtime's next DEL tries again.
 */
export async function del(call: DelCall<MultusConf>): Promise<void> {
  const conf = call.config ?? salvageConf(call.conf);
  const session = openSession(call, conf);
  const where = `Multus: ${podLabel(podIdentity(call.args))}`;
  try {
    // From within a call of the same container: that one deletes everything, or takes it back.
    using lock = session.isNested
      ? ContainerLock.tryTake(conf.cniDir, call.containerId)
      : await ContainerLock.take(conf.cniDir, call.containerId);
    if (lock === undefined) return;
    throwJoined((await deleteAll(underLock(session, lock), call)).map(({ error }) => error));
    removeJournal(conf.cniDir, call.containerId);
    markSettled(conf.cniDir, call.containerId, session.log);
  } catch (error) {
    const failure = CniError.from(error).within(where);
    session.log.error(failure.text);
    throw failure;
  }
}

/** Everything that is known of the container; returns what could not be freed. */
async function deleteAll(session: Session, call: DelCall<MultusConf>): Promise<DetachFailure[]> {
  const { cniDir } = session.conf;
  const state = readJournal(cniDir, call.containerId, call.ifName, call.args);
  if (state.kind === "present") return deleteEntries(session, call, state.entries);
  if (state.kind === "absent" && isSettled(cniDir, call.containerId)) return [];
  if (state.kind === "torn") {
    session.log.error(
      `journal of container ${call.containerId} is unreadable: ${state.reason}; looking elsewhere for what to delete`,
    );
  }
  const { remembered, supposed } = await rescueEntries(session, call);
  const failures = await deleteEntries(session, call, [...supposed, ...remembered]);
  removeDeviceInfoOf(call.containerId, session.log);
  if (state.kind === "torn") return failures;
  // Nothing says that these were ever attached: a plugin that refuses to delete what it never made must not block the pod for ever.
  const certain = failures.filter(({ entry }) => remembered.includes(entry));
  for (const { error } of failures.filter((failure) => !certain.includes(failure)))
    session.log.error(`passed over, since nothing shows that it was attached: ${error.text}`);
  return certain;
}
