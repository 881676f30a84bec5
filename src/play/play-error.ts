/** Why play can't do what it was asked for: one line that says what to do. */
export class PlayError extends Error {
  override readonly name = "PlayError";
}
