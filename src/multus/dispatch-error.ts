import { isClusterError } from "../cluster/port.ts";
import { code, CniError } from "../cni/error.ts";

/** The reason of the event that a pod gets for a failure; docs/configuration.md says when each is given. */
export type FailureReason =
  | "NoNetworkFound"
  | "NetworkNotReadable"
  | "InvalidNetwork"
  | "InvalidNetworkSelection"
  | "NetworkNotAllowed"
  | "MissingCapability"
  | "NotEnoughDevices"
  | "DevicesNotReadable"
  | "DefaultNetworkNotReady"
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

/**
 * What the store of pods and networks could not do, as a CNI error: code 11, since the next try may find the store reachable, the rights
 * granted, the file corrected or the pod gone for good. Anything else as `CniError.from` has it.
 */
export function fromCluster(error: unknown): CniError {
  return CniError.from(error, isClusterError(error) ? code.tryAgainLater : code.internal);
}
