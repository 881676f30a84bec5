import { messageOf } from "../words/message.ts";
import { oneLine } from "../words/one-line.ts";
/** `ok`: as it should be. `warning`: some networks won't work. `failed`: pods won't. `skipped`: could not be looked at, or is not meant. */
export type Verdict = "ok" | "warning" | "failed" | "skipped";

/** The outcome of one check. */
export interface Finding {
  /** Stable: scripts and docs/operations.md go by it. */
  readonly code: string;
  readonly verdict: Verdict;
  /** What was found, in one line. */
  readonly message: string;
  /** What to do about it; "" when there is nothing to do. */
  readonly cure: string;
}

/** A check that found everything as it should be. */
export function ok(code: string, message: string): Finding {
  return { code, verdict: "ok", message, cure: "" };
}

/** A check that there was nothing to look at for. */
export function skipped(code: string, message: string): Finding {
  return { code, verdict: "skipped", message, cure: "" };
}

export function warning(code: string, message: string, cure: string): Finding {
  return { code, verdict: "warning", message, cure };
}

export function failed(code: string, message: string, cure: string): Finding {
  return { code, verdict: "failed", message, cure };
}

/** What was thrown, in one line. */
export function reasonOf(error: unknown): string {
  return oneLine(messageOf(error));
}
