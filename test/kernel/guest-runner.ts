// Runs in the guest: `bun guest-runner.ts CASEFILE RESULTS` writes one JSON line (`GuestOutcome`) per case, as soon as it is known.
import { appendFileSync } from "node:fs";
import type { GuestCases, GuestOutcome } from "./uml.ts";

const [caseFile = "", results = ""] = process.argv.slice(2);
const { cases } = (await import(caseFile)) as { cases: GuestCases };
for (const [name, run] of Object.entries(cases)) {
  const began = performance.now();
  let error: string | undefined;
  try {
    await run();
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  }
  const outcome: GuestOutcome = {
    name,
    durationMs: Math.round(performance.now() - began),
    ...(error === undefined ? {} : { error }),
  };
  appendFileSync(results, `${JSON.stringify(outcome)}\n`);
}
// The guest ends now, whatever a case that failed has left running.
process.exit(0);
