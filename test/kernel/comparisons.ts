// The differential tables of lane peers, for kinds of links that only a guest's kernel has.
import assert from "node:assert/strict";
import { type Case, compareCase, type ExpectedDifference, type Step } from "../peers/compare.ts";
import type { GuestCases } from "./uml.ts";

/** A second DEL is what the tests of each plugin make; here it would cost a tenth of the time. */
const lifeInGuest: readonly Step[] = [{ command: "ADD" }, { command: "CHECK" }, { command: "DEL" }];

/** The cases of a table as those of a guest: each fails with the differences that were not expected, or that were and are not there. */
export function comparisons(table: readonly Case[], common: readonly ExpectedDifference[]): GuestCases {
  return Object.fromEntries(
    table.map((subject) => [
      subject.name,
      async () => {
        const { differences, stale } = await compareCase({ isThrifty: true, steps: lifeInGuest, ...subject }, common);
        assert.deepEqual({ differences, stale }, { differences: [], stale: [] });
      },
    ]),
  );
}
