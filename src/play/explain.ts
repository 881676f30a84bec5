import { oneLine } from "../words/one-line.ts";

/**
 * What went wrong in one line, with the details that a CNI error keeps apart. Details that only repeat the message (a plugin's log, when
 * it goes to standard error) are left out.
 */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const details = "details" in error && typeof error.details === "string" ? error.details : "";
  const core = error.message.replace(/^plugin type="[^"]*" name="[^"]*" failed \([a-z]+\): /, "");
  const text = details === "" || details.includes(core) ? error.message : `${error.message} (${details})`;
  return oneLine(text);
}
