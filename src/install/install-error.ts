/** Why something could not be installed or taken off; `message` is one line that says what to do. */
export class InstallError extends Error {
  override readonly name = "InstallError";

  constructor(
    readonly code: InstallErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * `foreign`: somebody else's file is in the way. `folder`: a folder is missing or can't be written. `primary`: there is no default network
 * to put the dispatcher in front of. `config`: a file that was named can't be used. `busy`: another install or uninstall is at work.
 * `foreign-system`: this executable can't run on the node.
 */
export type InstallErrorCode = "foreign" | "folder" | "primary" | "config" | "busy" | "foreign-system";
