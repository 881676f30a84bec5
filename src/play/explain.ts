/** What went wrong in one line, with the details that a CNI error keeps apart. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const details = "details" in error && typeof error.details === "string" ? error.details : "";
  const text = details === "" ? error.message : `${error.message} (${details})`;
  return text.trim().replaceAll(/\s*\n\s*/g, "; ");
}
