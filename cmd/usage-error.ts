/** The caller asked for something that can't be: one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
