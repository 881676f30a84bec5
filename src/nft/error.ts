import type { NetlinkError } from "../netlink/error.ts";

type ErrnoName = NetlinkError["code"];

/** An errno by kernel name, or "invalid" for what was refused here before anything was sent. */
export type NftErrorCode = ErrnoName | "invalid";

/**
 * An nf_tables operation that failed; with it, the whole transaction did: the kernel applies all of it or nothing. `operation` is
 * its line in nft's language, `cause` the `NetlinkError` unless the code is "invalid".
 */
export class NftError extends Error {
  override readonly name = "NftError";
  constructor(
    readonly code: NftErrorCode,
    readonly operation: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The refusal of something that the kernel, or a later `nft list`, could not make sense of. */
export function invalid(operation: string, reason: string): NftError {
  return new NftError("invalid", operation, `nft ${operation}: ${reason}`);
}

/** The kernel's refusal of one operation, with what its terse errno means here. */
export function refused(operation: string, cause: NetlinkError): NftError {
  const hint = hintFor(operation, cause.code);
  const reason = cause.message.startsWith(`${cause.operation}: `)
    ? cause.message.slice(cause.operation.length + 2)
    : cause.message;
  return new NftError(cause.code, operation, `nft ${operation}: ${reason}${hint === "" ? "" : `; ${hint}`}`, { cause });
}

/** True for an `NftError` with one of these codes. */
export function isNftError(error: unknown, ...codes: readonly NftErrorCode[]): error is NftError {
  return error instanceof NftError && (codes.length === 0 || codes.includes(error.code));
}

function hintFor(operation: string, code: ErrnoName): string {
  if (code === "EPERM") return "CAP_NET_ADMIN is needed in the user namespace that owns the network namespace";
  if (code === "EOPNOTSUPP" && operation.startsWith("add table")) return "this kernel has no nf_tables of that family";
  if (code === "ENOENT" && operation.startsWith("add rule"))
    return "its chain is missing, or this kernel lacks one of its expressions in that family";
  if (code === "ENOENT" && operation.startsWith("add chain"))
    return "its table is missing, or this kernel lacks that chain type in that family";
  if (["EOPNOTSUPP", "EEXIST"].includes(code) && operation.startsWith("add chain"))
    return "a chain of that name exists with another type, hook or priority, or this kernel can't have such a chain";
  if (code === "EOPNOTSUPP") return "this kernel, or that kind of chain, does not support it";
  if (code === "EBUSY") return "something still refers to it";
  return "";
}
