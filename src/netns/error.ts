/** Why a path is not usable as a network namespace: nothing there, something else there, or it could not be opened or entered. */
export type NetnsErrorCode = "missing" | "not-a-netns" | "unusable";

/** A network namespace that can't be used; `path` is the one asked for. */
export class NetnsError extends Error {
  override readonly name = "NetnsError";
  constructor(
    readonly code: NetnsErrorCode,
    readonly path: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** True for a namespace that is gone: nothing at the path, or its mount is gone and a plain file is left. */
export function isGone(error: unknown): error is NetnsError {
  return error instanceof NetnsError && error.code !== "unusable";
}
