import { CniError, code } from "../../cni/error.ts";
import { type ErrnoName, errnoText, SystemError } from "../../libc/errno.ts";
import { NetlinkError } from "../../netlink/error.ts";

/**
 * What an errno means for one operation and what to do about it, by the errno's kernel name; one clause, without a full stop. One that takes
 * looking at the machine is a function, called when that errno has come.
 */
export type Cures = Partial<Record<ErrnoName, string | (() => string)>>;

/** What these mean whatever was tried. */
const generalCures: Cures = {
  EPERM: "CAP_NET_ADMIN is missing here: run as root, in a container as privileged",
  EACCES: "CAP_NET_ADMIN is missing here: run as root, in a container as privileged",
  ENODEV: "a device that was there a moment ago is gone",
  ENOMEM: "the kernel is out of memory for it",
  ENOBUFS: "the kernel is out of memory for it",
  ENFILE: "the node has too many open files",
  EMFILE: "this process has too many open files",
  EROFS: "/proc/sys is mounted read-only: in a container run privileged",
};

/**
 * A kernel's refusal as the one line a user needs: `operation` (in upstream's words, since runtimes match on them), the errno's text,
 * what the kernel said beyond it, and the cause with its cure from `cures` or the general ones. A `CniError` comes back as it is; of
 * anything else that is no refused system call only the message is known. The code is 999, as upstream's is.
 */
export function explain(operation: string, error: unknown, cures: Cures = {}): CniError {
  if (error instanceof CniError) return error;
  const { errno, kernelText } = refusalOf(error);
  if (errno === undefined) return CniError.from(error).within(`${operation}: `);
  const meaning = cures[errno] ?? generalCures[errno];
  const cure = typeof meaning === "function" ? meaning() : meaning;
  const said = kernelText === undefined ? "" : ` (kernel: ${kernelText})`;
  const message = `${operation}: ${errnoText(errno)}${said}${cure === undefined ? "" : `; ${cure}`}`;
  return new CniError(code.internal, message, CniError.from(error).message, { cause: error });
}

/** The errno of a refused system call or netlink request; undefined for any other error. */
export function errnoOf(error: unknown): ErrnoName | undefined {
  return refusalOf(error).errno;
}

function refusalOf(error: unknown): { readonly errno?: ErrnoName; readonly kernelText?: string | undefined } {
  if (error instanceof NetlinkError) return { errno: error.code, kernelText: error.kernelText };
  return error instanceof SystemError ? { errno: error.code } : {};
}

/** Runs `body`; what the kernel refuses in it is explained as `explain` does, every other error passes. */
export function explained<T>(operation: string, body: () => T, cures: Cures = {}): T {
  try {
    return body();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw explain(operation, error, cures);
  }
}
