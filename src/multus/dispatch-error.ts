import { code, CniError } from "../cni/error.ts";

/** The reason of the event that a pod gets for a failure; docs/events.md explains each. */
export type FailureReason =
  | "NoNetworkFound"
  | "NetworkNotReadable"
  | "InvalidNetwork"
  | "InvalidNetworkSelection"
  | "NetworkNotAllowed"
  | "FailedToAttach"
  | "FailedToReport";

/** A failure that the pod's events should show under `reason`; the runtime gets its message as a CNI error. */
export class DispatchError extends CniError {
  constructor(
    readonly reason: FailureReason,
    message: string,
    options?: ErrorOptions & { readonly code?: number; readonly details?: string },
  ) {
    super(options?.code ?? code.invalidConfig, message, options?.details ?? "", options);
  }
}
