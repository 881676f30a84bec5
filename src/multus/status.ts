import { statusList } from "../cni/chain.ts";
import { code, CniError } from "../cni/error.ts";
import type { StatusCall } from "../cni/plugin.ts";
import { isErrno } from "../libc/errno.ts";
import { makeDirectories } from "../libc/file.ts";
import type { MultusConf } from "./config.ts";
import { makePlan } from "./plan.ts";
import { requireReadiness } from "./readiness.ts";
import { openCluster, openSession } from "./session.ts";
import { networkSources } from "./sources.ts";
import { noArgs } from "../cni/args.ts";

/**
 * Whether an ADD could be served now: the readiness file is there, the journal's folder can be written, and the default network's own
 * STATUS says yes (its error code passes through). Answers at once; throws `CniError` code 50 otherwise.
 */
export async function status(call: StatusCall<MultusConf>): Promise<void> {
  const session = openSession(call, call.config);
  const { conf } = session;
  requireReadiness(conf.readinessIndicatorFile);
  requireJournalFolder(conf.cniDir);
  const sources = await networkSources({ conf, cluster: await openCluster(conf), pod: undefined, log: session.log });
  const { attachments } = makePlan({ ifName: "eth0", args: noArgs, runtimeConfig: {}, sources });
  const [first] = attachments;
  if (first !== undefined) await statusList(session.runtime, first.list, session.path);
}

function requireJournalFolder(cniDir: string): void {
  try {
    makeDirectories(cniDir, 0o700);
  } catch (error) {
    if (!isErrno(error, "EACCES", "EROFS", "ENOTDIR", "ENOSPC")) throw error;
    throw new CniError(
      code.notAvailable,
      `cniDir ${cniDir} can't be used: ${error.message}`,
      "attachments are journaled there before they are made",
      { cause: error },
    );
  }
}
