import { CniError } from "../../cni/error.ts";
import type { DelCall } from "../../cni/plugin.ts";
import { isSettled, markSettled } from "../../cni/settled.ts";
import { markOf } from "./add.ts";
import { dataDirOf, type WhereaboutsConfig } from "./config.ts";
import { Journal } from "./journal.ts";
import { poolsWithLeft } from "./left-entry.ts";
import { type ParsedConfig, settle, withLog } from "./parse.ts";
import { releaseAll } from "./release.ts";
import { openSource, openStore } from "./store.ts";

/**
 * Gives back what the attachment's journal names: one deletion per claim and no read, whatever became of the network's config. Without a
 * journal what the store and the config tell is given back, unless it is remembered that nothing is held. Throws `CniError` while something
 * may still be held, so that the runtime tries again.
 */
export async function del(given: DelCall<ParsedConfig>): Promise<void> {
  const config = settledConfig(given);
  const dataDir = config?.dataDir ?? dataDirOf(given.conf);
  const call = config === undefined ? given : withLog(given, config);
  if (!(await releaseJournaled(call, dataDir)) && !isSettled(dataDir, markOf(call))) await releaseOthers(call, config);
  markSettled(dataDir, markOf(call), call.log);
  if ((config?.releaseDelayMs ?? 0) > 0) {
    const { releaseDue } = await import("./delayed.ts");
    if (await releaseDue(dataDir, (source) => openSource(source, call))) {
      const { startIndex } = await import("./start-index.ts");
      await startIndex(call, dataDir);
    }
  }
  if (poolsWithLeft(dataDir).length > 0) {
    const { startRemover } = await import("./start-index.ts");
    await startRemover(call, dataDir);
  }
}

/** True when there was a journal. */
async function releaseJournaled(call: DelCall<ParsedConfig>, dataDir: string): Promise<boolean> {
  using journal = Journal.openIfExists(dataDir, call);
  if (journal === undefined) return false;
  const { head, claims } = journal;
  if (head !== undefined && claims.length > 0)
    await releaseAll(() => openSource(head.source, call), journal, { dataDir });
  journal.remove();
  if (claims.some(({ slice }) => slice !== undefined)) {
    const { startIndex } = await import("./start-index.ts");
    await startIndex(call, dataDir);
  }
  return true;
}

async function releaseOthers(call: DelCall<ParsedConfig>, config: WhereaboutsConfig | undefined): Promise<void> {
  if (config === undefined || config.ranges.length === 0) return;
  const { releaseUnjournaled } = await import("./unjournaled.ts");
  await releaseUnjournaled(await openStore(config, call), config, call);
}

/** Undefined for a config that can't be used (any more): what the journal says is enough. */
function settledConfig(call: DelCall<ParsedConfig>): WhereaboutsConfig | undefined {
  if (call.config === undefined) return undefined;
  try {
    return settle(call, call.config);
  } catch (error) {
    call.log.error(`cleaning up without the flat file: ${CniError.from(error).message}`);
    return undefined;
  }
}
