import { errnoName, errnoText, type ErrnoName } from "../libc/errno.ts";

/** errno of a message that does not follow the protocol; the kernel uses the same one for it. */
const EBADMSG = 74;
const ENOBUFS = 105;

/** What is known of a failed netlink operation beyond its name and errno; each is undefined when the kernel did not say it. */
export interface NetlinkErrorDetail {
  /** The kernel's own sentence (NLMSGERR_ATTR_MSG). */
  readonly kernelText?: string | undefined;
  /** Our sentence, where the conversation itself failed. */
  readonly note?: string | undefined;
  /** Byte in the request, counted from its header, where the attribute refused begins (NLMSGERR_ATTR_OFFS). */
  readonly offset?: number | undefined;
  /** Type of the attribute that was refused or that is missing (NLMSGERR_ATTR_MISS_TYPE). */
  readonly attribute?: number | undefined;
  readonly cause?: unknown;
}

/**
 * A netlink operation that failed. `operation` is the request's label in words ("add link net1"), `code` the errno by kernel
 * name, `kernelText` the extended acknowledgement. One line: "add link net1: file exists (kernel: …)".
 */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";
  readonly code: ErrnoName;
  readonly kernelText: string | undefined;
  readonly offset: number | undefined;
  readonly attribute: number | undefined;

  constructor(
    readonly operation: string,
    readonly errno: number,
    detail: NetlinkErrorDetail = {},
  ) {
    const code = errnoName(errno);
    super(
      `${operation}: ${errnoText(code)}${remark(detail)}`,
      detail.cause === undefined ? {} : { cause: detail.cause },
    );
    this.code = code;
    this.kernelText = detail.kernelText;
    this.offset = detail.offset;
    this.attribute = detail.attribute;
  }
}

function remark({ kernelText, note, attribute }: NetlinkErrorDetail): string {
  const parts = [];
  if (note !== undefined) parts.push(note);
  if (kernelText !== undefined) parts.push(`kernel: ${kernelText}`);
  if (attribute !== undefined) parts.push(`attribute ${attribute}`);
  return parts.length === 0 ? "" : ` (${parts.join("; ")})`;
}

/** True for a `NetlinkError` with one of these codes; with none given, for every `NetlinkError`. */
export function isNetlinkError(error: unknown, ...codes: readonly ErrnoName[]): error is NetlinkError {
  return error instanceof NetlinkError && (codes.length === 0 || codes.includes(error.code));
}

/** The error of an answer that breaks the protocol; `reason` says how. */
export function malformed(operation: string, reason: string): NetlinkError {
  return new NetlinkError(operation, EBADMSG, { note: reason });
}

/** The error of a receive buffer that overflowed: the kernel threw answers away. */
export function overrun(operation: string, cause?: unknown): NetlinkError {
  return new NetlinkError(operation, ENOBUFS, { note: "the kernel dropped answers; what was done is unknown", cause });
}
