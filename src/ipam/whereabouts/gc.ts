import { throwJoined } from "../../cni/chain.ts";
import type { CniError } from "../../cni/error.ts";
import type { GcCall } from "../../cni/plugin.ts";
import { markSettled } from "../../cni/settled.ts";
import { markOf } from "./add.ts";
import { dataDirOf } from "./config.ts";
import { releaseDue } from "./delayed.ts";
import { toCniError } from "./failure.ts";
import { type AttachmentKey, Journal, journaledAttachments, peekHead } from "./journal.ts";
import { type ParsedConfig, settle } from "./parse.ts";
import { releaseAll } from "./release.ts";
import { sliceFolders } from "./slice-folder.ts";
import { startIndex, startRemover } from "./start-index.ts";
import { openSource } from "./store.ts";

/**
 * Gives back what attachments of this network hold that the runtime no longer lists, and what has waited long enough. Goes on after failures and
 * throws them together at the end.
 */
export async function collect(call: GcCall<ParsedConfig>): Promise<void> {
  const dataDir = call.config === undefined ? dataDirOf(call.conf) : settle(call, call.config).dataDir;
  const living = new Set<string>();
  for (const each of call.valid) living.add(markOf(each));
  const failures: CniError[] = [];
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      failures.push(toCniError(error).within(`${what}: `));
    }
  };
  for (const key of journaledAttachments(dataDir)) {
    // One without a head has claimed nothing yet: nobody knows of which network it is, and it names nothing.
    const network = peekHead(dataDir, key)?.network ?? call.conf.name;
    if (living.has(markOf(key)) || network !== call.conf.name) continue;
    await attempt(`container ${key.containerId} interface ${key.ifName}`, () => release(call, dataDir, key));
  }
  await attempt("addresses that were kept for a while", async () => {
    await releaseDue(dataDir, (source) => openSource(source, call));
  });
  if (sliceFolders(dataDir).length > 0) await attempt("the pools of slices", () => startIndex(call, dataDir));
  await attempt("entries of what is given back", () => startRemover(call, dataDir));
  throwJoined(failures);
}

async function release(call: GcCall<ParsedConfig>, dataDir: string, key: AttachmentKey): Promise<void> {
  using journal = Journal.openIfExists(dataDir, key);
  if (journal === undefined) return;
  const { head } = journal;
  const count = journal.claims.length;
  if (head !== undefined) await releaseAll(() => openSource(head.source, call), journal, { dataDir });
  journal.remove();
  markSettled(dataDir, markOf(key), call.log);
  call.log.verbose(`GC gave back ${count} claims of ${call.conf.name}`, { container: key.containerId });
}
