import { describe, expect, test } from "vitest";
import { type Case, compareCase, type ExpectedDifference } from "./compare.ts";

/** One test per case: the Go plugin and ours must not differ but where the case expects it, and what it expects must be so. */
export function describeCases(title: string, cases: readonly Case[], common: readonly ExpectedDifference[] = []): void {
  describe(title, () => {
    for (const subject of cases) {
      test(subject.name, async () => {
        const { differences, stale } = await compareCase(subject, common);
        expect(differences).toEqual([]);
        expect(stale).toEqual([]);
      });
    }
  });
}
