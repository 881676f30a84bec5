import type { Call } from "../../cni/plugin.ts";
import { indexSlices, markChanged } from "./slice-index.ts";
import { openSource } from "./store.ts";

/** The verb of the command line that writes the pools of slices. */
export const indexVerb = "index-slices";

/**
 * Has the pools of this node's slices follow its files: by a process of its own, since a runtime waits for this one. Where this is no executable of
 * its own (a test), here and now. What fails is logged: the next change tries again.
 */
export async function startIndex(call: Call, dataDir: string): Promise<void> {
  if (!markChanged(dataDir)) return;
  if (Bun.main.startsWith("/$bunfs/")) {
    const silent = { stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const;
    Bun.spawn([process.execPath, indexVerb, dataDir], { ...silent, argv0: "polynic", detached: true, env: {} }).unref();
    return;
  }
  await indexSlices(dataDir, (source) => openSource(source, call));
}
