import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { peerFolders } from "../kit/peer-tools.ts";
import { bootGuest, type GuestCases, type GuestOptions, type GuestRun, guestTimeoutMs } from "./uml.ts";

const hostMarginMs = 120_000;
const comparisonTimeoutMs = 3_600_000;

/**
 * One test for each of the `cases` that the module at `caseFile` exports, all run in one boot. The tests only report: a case that
 * threw, or was never reached, fails with what it threw and with the guest's console.
 */
export function describeGuest(title: string, caseFile: URL, cases: GuestCases, options: GuestOptions = {}): void {
  describe(title, () => {
    let run: GuestRun | undefined;
    beforeAll(
      async () => {
        run = await bootGuest(fileURLToPath(caseFile), options);
      },
      (options.timeoutMs ?? guestTimeoutMs) + hostMarginMs,
    );
    test.each(Object.keys(cases))("%s", (name) => {
      const outcome = run?.outcomes.find((outcome) => outcome.name === name);
      if (outcome !== undefined && outcome.error === undefined) return;
      const reason = outcome?.error ?? run?.problem ?? "the case was not run";
      expect.fail(`${reason}\n--- console of the guest ---\n${run?.console ?? ""}`);
    });
  });
}

/** As `describeGuest`, for cases that call the Go plugins too. */
export function describeComparison(title: string, caseFile: URL, cases: GuestCases): void {
  describeGuest(title, caseFile, cases, {
    modules: ["ipv6"],
    environment: peerFolders("plugins"),
    timeoutMs: comparisonTimeoutMs,
  });
}
