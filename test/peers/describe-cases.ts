import { describe, expect, test } from "vitest";
import { type Case, compareCase, type ExpectedDifference, haveOurs, runPeer } from "./compare.ts";

/**
 * One test per case: the Go plugin and ours must not differ but where the case expects it, and what it expects must be so. A case
 * whose plugin our executable does not answer to yet runs on the Go side, which proves the case, and is reported as skipped.
 */
export function describeCases(title: string, cases: readonly Case[], common: readonly ExpectedDifference[] = []): void {
  describe(title, () => {
    for (const subject of cases) {
      test(subject.name, async ({ skip }) => {
        if (!haveOurs(subject.plugin)) {
          await runPeer(subject);
          skip(`our executable has no ${subject.plugin} yet; the Go side does what the case says`);
        }
        const { differences, stale } = await compareCase(subject, common);
        expect(differences).toEqual([]);
        expect(stale).toEqual([]);
      });
    }
  });
}
