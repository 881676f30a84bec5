import { explain } from "./explain.ts";

/** Why play can't do what it was asked for: one line that says what to do. */
export class PlayError extends Error {
  override readonly name: string = "PlayError";
}

/** The same, where what the caller passed in is at fault: a path, a manifest, a config, a node. */
export class InputError extends PlayError {
  override readonly name = "InputError";
}

/** Runs `read`; whatever it throws becomes an `InputError`, its text after `subject`. */
export function asInput<T>(subject: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new InputError(`${subject}${explain(cause)}`, { cause });
  }
}
