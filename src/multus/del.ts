import { CniError } from "../cni/error.ts";
import type { DelCall } from "../cni/plugin.ts";
import { type MultusConf, salvageConf } from "./config.ts";
import { deleteEntries } from "./detach.ts";
import { readJournal, removeJournal } from "./journal.ts";
import { ContainerLock } from "./lock.ts";
import { rescueEntries } from "./rescue.ts";
import { openSession, podIdentity, podLabel } from "./session.ts";

/**
 * Takes a container off all its networks, in reverse order and to the end even when one fails. It needs the journal alone: no API
 * server, no NetworkAttachmentDefinition, no namespace; and where the journal is missing or torn, whatever else still tells what was
 * attached. Repeating it is cheap and succeeds. Throws one `CniError` that lists what could not be freed; the journal stays then, so
 * that the runtime's next DEL tries again.
 */
export async function del(call: DelCall<MultusConf>): Promise<void> {
  const conf = call.config ?? salvageConf(call.conf.raw);
  const session = openSession(call, conf);
  using _lock = await ContainerLock.take(conf.cniDir, call.containerId);
  const state = readJournal(conf.cniDir, call.containerId, call.ifName);
  if (state.kind === "torn")
    session.log.error(
      `journal of container ${call.containerId} is unreadable: ${state.reason}; looking elsewhere for what to delete`,
    );
  const entries = state.kind === "present" ? state.entries : await rescueEntries(session, call);
  const failures = await deleteEntries(session, call, entries);
  if (failures.length > 0) {
    const [first] = failures;
    const texts = failures.map(({ message }) => message).join(" / ");
    session.log.error(texts);
    throw new CniError(first?.code ?? 999, `Multus: ${podLabel(podIdentity(call.args))}${texts}`, first?.details ?? "");
  }
  removeJournal(conf.cniDir, call.containerId);
}
