// What a killed plugin leaves running: an iptables-restore that it had started goes on, and does all of its work or nothing.
import { readdirSync, readFileSync, statSync } from "node:fs";
import type { PinnedNetns } from "./node-netns.ts";

const roundMs = 10;
const roundsMax = 6000;

/** Returns when no iptables-restore runs in the namespace any more; others at work on this machine have theirs. */
export async function restoresEnded(netns: PinnedNetns): Promise<void> {
  for (let round = 0; round < roundsMax; round += 1) {
    if (!readdirSync("/proc").some((pid) => /^\d+$/.test(pid) && isRestore(pid, netns))) return;
    await Bun.sleep(roundMs);
  }
  throw new Error(`an iptables-restore in ${netns.path} does not end`);
}

function isRestore(pid: string, netns: PinnedNetns): boolean {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] ?? "";
    // Nothing yet is what one has that is being started just now.
    return (
      (command === "" || command.includes("tables-restore")) &&
      statSync(`/proc/${pid}/ns/net`).ino === statSync(netns.path).ino
    );
  } catch {
    // Ended meanwhile.
    return false;
  }
}
