// The kernel of the lane has what the lane is for, and a guest that hangs is ended.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cases } from "./boot.guest.ts";
import { describeGuest } from "./describe-guest.ts";
import { bootGuest } from "./uml.ts";

describeGuest("the guest", new URL("boot.guest.ts", import.meta.url), cases);

test("a guest that hangs ends at the time limit with all of its processes", async () => {
  const run = await bootGuest(join(import.meta.dirname, "hanging.guest.ts"), { timeoutMs: 4000 });
  expect(run.problem).toBe("not done after 4 s");
  await expect.poll(() => runningWith(run.folder), { timeout: 60_000 }).toEqual([]);
});

/** Ids of the processes that have the text on their command line. */
function runningWith(text: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
    } catch {
      return false;
    }
  });
}
