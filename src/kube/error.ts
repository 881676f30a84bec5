/**
 * config: what says where the server is, and who we are, can't be used. unreachable: no connection, or it broke before the answer was
 * complete. timeout: no answer in time. tls: the two sides do not trust each other. status: the server answered with a failure.
 * protocol: what answered is not what was asked for.
 */
export type KubeErrorKind = "config" | "unreachable" | "timeout" | "tls" | "status" | "protocol";

/** The members of a Status object (k8s.io/apimachinery meta/v1) that decide what to do. */
export interface StatusDetails {
  /** HTTP status. */
  readonly code: number;
  /** "NotFound", "AlreadyExists", "Conflict", "Forbidden", "Expired" …; "" when the answer was no Status object. */
  readonly reason: string;
  /** `details.name`: which object a "NotFound" is about; "" when the server does not know the resource at all. */
  readonly objectName: string;
  /** `details.causes[].field`: what of the object the server does not take, as in "metadata.uid". */
  readonly fields?: readonly string[];
  /** How long the server asks to wait. */
  readonly retryAfterMs?: number;
}

export interface KubeErrorDetails extends ErrorOptions {
  /** What to do about it; "" when absent. */
  readonly hint?: string;
  /** Present for "status" only. */
  readonly status?: StatusDetails | undefined;
  /** An earlier attempt of the same request ended without our hearing how: what it asked for may have been done. */
  readonly wasRepeated?: boolean;
}

/** Why the API server did not do what was asked: `<operation>: <problem>; <hint>` in one line. */
export class KubeError extends Error {
  override readonly name = "KubeError";
  readonly hint: string;
  readonly status: StatusDetails | undefined;
  readonly wasRepeated: boolean;

  constructor(
    readonly kind: KubeErrorKind,
    readonly operation: string,
    readonly problem: string,
    { hint = "", status, wasRepeated = false, ...options }: KubeErrorDetails = {},
  ) {
    super(`${operation}: ${problem}${hint === "" ? "" : `; ${hint}`}`, options);
    this.hint = hint;
    this.status = status;
    this.wasRepeated = wasRepeated;
  }

  /** The same failure with some of it told differently. */
  with(more: KubeErrorDetails & { readonly problem?: string }): KubeError {
    const { kind, operation, hint, status, wasRepeated, cause } = this;
    const { problem = this.problem, ...details } = more;
    return new KubeError(kind, operation, problem, { hint, status, wasRepeated, cause, ...details });
  }
}

/** A failure that the server itself has told of. */
export interface RefusalError extends KubeError {
  readonly status: StatusDetails;
}

/** No object of that name, or no such resource. */
export function isNotFound(error: unknown): error is RefusalError {
  return hasCode(error, 404);
}

/** The server knows no resource of that kind: its definition is not installed. */
export function isUnknownResource(error: unknown): error is RefusalError {
  return isNotFound(error) && error.status.objectName === "";
}

export function isAlreadyExists(error: unknown): error is RefusalError {
  return hasCode(error, 409) && error.status.reason === "AlreadyExists";
}

/** The object is another one by now: a precondition (uid, resourceVersion) does not hold. */
export function isConflict(error: unknown): error is RefusalError {
  return hasCode(error, 409) && error.status.reason !== "AlreadyExists";
}

/** The server does not take what the object says in that field. */
export function isInvalidField(error: unknown, field: string): error is RefusalError {
  return hasCode(error, 422) && error.status.fields?.includes(field) === true;
}

/** The server does not know who we are. */
export function isUnauthorized(error: unknown): error is RefusalError {
  return hasCode(error, 401);
}

/** The server knows who we are, and that we may not. */
export function isForbidden(error: unknown): error is RefusalError {
  return hasCode(error, 403);
}

/** The server no longer has what a watch or a further page was to go on from: list again. */
export function isExpired(error: unknown): error is RefusalError {
  return hasCode(error, 410);
}

/** Worth another try later: nobody answered, or somebody who can't help just now. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  if (error.kind === "unreachable" || error.kind === "timeout") return true;
  return error.status !== undefined && (error.status.code === 429 || error.status.code >= 500);
}

function hasCode(error: unknown, code: number): error is RefusalError {
  return error instanceof KubeError && error.status?.code === code;
}
