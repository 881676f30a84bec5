import {
  isConflict,
  isForbidden,
  isNotFound,
  isUnauthorized,
  isUnavailable,
  isUnknownResource,
  KubeError,
} from "../kube/error.ts";
import { ClusterError, type ClusterErrorCode } from "./port.ts";

/**
 * The API server's failure as a cluster error, which is the only one that the port's callers know. `operation` is what they asked for, when
 * that says more than the request. Anything else is thrown as it is.
 */
export function toClusterError(error: unknown, operation?: string): ClusterError {
  if (error instanceof ClusterError) return error;
  if (!(error instanceof KubeError)) throw error;
  return new ClusterError(codeOf(error), operation ?? error.operation, error.problem, error.hint, { cause: error });
}

function codeOf(error: KubeError): ClusterErrorCode {
  if (isUnavailable(error) || error.kind === "tls" || error.kind === "protocol") return "unavailable";
  if (isUnauthorized(error)) return "unauthorized";
  if (isForbidden(error)) return "forbidden";
  if (isConflict(error)) return "conflict";
  // A server without the definition of networks has none of any name; but that is nothing that the pod's author could cure.
  if (isNotFound(error)) return isUnknownResource(error) ? "unavailable" : "not-found";
  return "invalid";
}
