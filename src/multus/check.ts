import { checkCached } from "../cni/cached-chain.ts";
import { throwJoined } from "../cni/chain.ts";
import { code, CniError } from "../cni/error.ts";
import type { CheckCall } from "../cni/plugin.ts";
import { asVersion, isAtLeast } from "../cni/version.ts";
import type { MultusConf } from "./config.ts";
import { delegateCall } from "./delegate-call.ts";
import { readJournal } from "./journal.ts";
import { journalPath } from "./paths.ts";
import { openSession, podIdentity, podLabel, type Session } from "./session.ts";

/**
 * Checks all attachments of a container, not only the default network's, in order of attachment; each against the result of its ADD.
 * Every failing one is reported, the first one's code counting. A container without a journal is unknown: code 3.
 */
export async function check(call: CheckCall<MultusConf>): Promise<void> {
  const session = openSession(call, call.config);
  try {
    await checkAll(session, call);
  } catch (error) {
    throw CniError.from(error).within(`Multus: ${podLabel(podIdentity(call.args))}`);
  }
}

async function checkAll(session: Session, call: CheckCall<MultusConf>): Promise<void> {
  const { cniDir } = session.conf;
  const state = readJournal(cniDir, call.containerId, call.ifName, call.args);
  if (state.kind !== "present") {
    const what = state.kind === "absent" ? "there is no journal of it" : `its journal is unreadable: ${state.reason}`;
    throw new CniError(
      code.unknownContainer,
      `container ${call.containerId}: ${what} (${journalPath(cniDir, call.containerId)})`,
      "only a new ADD makes one",
    );
  }
  const failures: CniError[] = [];
  for (const entry of state.entries) {
    if (!knowsCheck(entry.list.cniVersion)) continue;
    try {
      await checkCached(session.runtime, session.cache, entry.list, delegateCall(session, call, entry));
    } catch (error) {
      failures.push(CniError.from(error).within(`network "${entry.name}" (interface ${entry.ifName}): `));
    }
  }
  throwJoined(failures);
}

/** CHECK came with 0.4.0: one older network must not make the pod's CHECK fail. */
function knowsCheck(cniVersion: string): boolean {
  const version = asVersion(cniVersion);
  return version !== undefined && isAtLeast(version, "0.4.0");
}
