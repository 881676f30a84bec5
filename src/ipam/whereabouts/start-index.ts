import type { Call } from "../../cni/plugin.ts";
import type { Pools, PoolsSource } from "../../cluster/pools/port.ts";
import { needsRemover, removeAllLeft } from "./remove-left.ts";
import { indexSlices, markChanged } from "./slice-index.ts";
import { openSource } from "./store.ts";

/** The verb of the command line that writes the pools of slices, and takes out what DELs have left in pools. */
export const indexVerb = "index-slices";

/**
 * Has the pools of this node's slices follow its files: by a process of its own, since a runtime waits for this one. Where this is no executable of
 * its own (a test), here and now. What fails is logged: the next change tries again.
 */
export async function startIndex(call: Call, dataDir: string): Promise<void> {
  if (markChanged(dataDir)) await behind(call, dataDir);
}

/** As `startIndex`, has the entries taken out that DELs have left; nothing when there are none. */
export async function startRemover(call: Call, dataDir: string): Promise<void> {
  if (needsRemover(dataDir)) await behind(call, dataDir);
}

/** What is done behind ADDs and DELs. */
export async function follow(dataDir: string, connect: (source: PoolsSource) => Promise<Pools>): Promise<void> {
  await indexSlices(dataDir, connect);
  await removeAllLeft(dataDir, connect);
}

async function behind(call: Call, dataDir: string): Promise<void> {
  if (Bun.main.startsWith("/$bunfs/")) {
    const silent = { stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const;
    Bun.spawn([process.execPath, indexVerb, dataDir], { ...silent, argv0: "polynic", detached: true, env: {} }).unref();
    return;
  }
  await follow(dataDir, (source) => openSource(source, call));
}
