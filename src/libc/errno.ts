// Both tables are functions: what is an object of a hundred entries would cost every start of the process, and most never look at them.

/** Linux error numbers by kernel name (include/uapi/asm-generic/errno-base.h and errno.h; the same on x64 and arm64). */
const numbers = () =>
  ({
    EPERM: 1,
    ENOENT: 2,
    ESRCH: 3,
    EINTR: 4,
    EIO: 5,
    ENXIO: 6,
    E2BIG: 7,
    ENOEXEC: 8,
    EBADF: 9,
    ECHILD: 10,
    EAGAIN: 11,
    ENOMEM: 12,
    EACCES: 13,
    EFAULT: 14,
    EBUSY: 16,
    EEXIST: 17,
    EXDEV: 18,
    ENODEV: 19,
    ENOTDIR: 20,
    EISDIR: 21,
    EINVAL: 22,
    ENFILE: 23,
    EMFILE: 24,
    ENOTTY: 25,
    ETXTBSY: 26,
    EFBIG: 27,
    ENOSPC: 28,
    EROFS: 30,
    EMLINK: 31,
    EPIPE: 32,
    ERANGE: 34,
    ENAMETOOLONG: 36,
    ENOSYS: 38,
    ENOTEMPTY: 39,
    ELOOP: 40,
    EXFULL: 54,
    ENODATA: 61,
    EPROTO: 71,
    EBADMSG: 74,
    EOVERFLOW: 75,
    EILSEQ: 84,
    ENOTSOCK: 88,
    EMSGSIZE: 90,
    ENOPROTOOPT: 92,
    EPROTONOSUPPORT: 93,
    EOPNOTSUPP: 95,
    EAFNOSUPPORT: 97,
    EADDRINUSE: 98,
    EADDRNOTAVAIL: 99,
    ENETDOWN: 100,
    ENETUNREACH: 101,
    ECONNRESET: 104,
    ENOBUFS: 105,
    EISCONN: 106,
    ENOTCONN: 107,
    ETIMEDOUT: 110,
    ECONNREFUSED: 111,
    EHOSTUNREACH: 113,
    EALREADY: 114,
    ESTALE: 116,
    EDQUOT: 122,
  }) as const;

/** An errno by its kernel name; a number outside the table reads "E<number>". */
export type ErrnoName = keyof ReturnType<typeof numbers> | `E${number}`;

/** The texts of strerror(3), for the numbers a network operator meets; others fall back to the name. */
const texts = (): Partial<Record<ErrnoName, string>> => ({
  EPERM: "operation not permitted",
  ENOENT: "no such file or directory",
  ESRCH: "no such process",
  EINTR: "interrupted",
  EIO: "input/output error",
  EBADF: "bad file descriptor",
  EAGAIN: "resource temporarily unavailable",
  ENOMEM: "cannot allocate memory",
  EACCES: "permission denied",
  EBUSY: "device or resource busy",
  EEXIST: "file exists",
  EXDEV: "invalid cross-device link",
  ENODEV: "no such device",
  ENOTDIR: "not a directory",
  EISDIR: "is a directory",
  EINVAL: "invalid argument",
  EMFILE: "too many open files",
  ENFILE: "too many open files in system",
  ETXTBSY: "text file busy",
  EFBIG: "file too large",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
  EPIPE: "broken pipe",
  ERANGE: "numerical result out of range",
  ENAMETOOLONG: "file name too long",
  ENOSYS: "function not implemented",
  ENOTEMPTY: "directory not empty",
  ELOOP: "too many levels of symbolic links",
  EXFULL: "exchange full",
  ENODATA: "no data available",
  EPROTO: "protocol error",
  EBADMSG: "bad message",
  EMSGSIZE: "message too long",
  EOPNOTSUPP: "operation not supported",
  EAFNOSUPPORT: "address family not supported by protocol",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  ENETDOWN: "network is down",
  ENETUNREACH: "network is unreachable",
  ECONNRESET: "connection reset by peer",
  ENOBUFS: "no buffer space available",
  ETIMEDOUT: "connection timed out",
  ECONNREFUSED: "connection refused",
  EHOSTUNREACH: "no route to host",
  EALREADY: "operation already in progress",
  ENXIO: "no such device or address",
  EPROTONOSUPPORT: "protocol not supported",
  ENOTCONN: "transport endpoint is not connected",
});

/** Kernel name of a positive error number, e.g. 17 to "EEXIST"; an unknown one reads "E<number>". */
export function errnoName(number: number): ErrnoName {
  const table = numbers();
  for (const name in table) if (table[name as keyof typeof table] === number) return name as ErrnoName;
  return `E${number}`;
}

/** The number of a kernel name: the inverse of `errnoName`. */
export function errnoNumber(name: ErrnoName): number {
  const table: Readonly<Record<string, number>> = numbers();
  return table[name] ?? Number(name.slice(1));
}

/** What strerror(3) says of it, e.g. "file exists"; the name itself where no text is kept. */
export function errnoText(name: ErrnoName): string {
  return texts()[name] ?? name;
}

/** A failed system call: `code` by kernel name, the call, and what it was about (a path, an interface, nothing). */
export class SystemError extends Error {
  override readonly name = "SystemError";
  constructor(
    readonly code: ErrnoName,
    readonly call: string,
    readonly subject = "",
  ) {
    super(`${call}${subject === "" ? "" : ` ${subject}`}: ${errnoText(code)}`);
  }
}

/** True when `error` is a failed system call with one of these codes. */
export function isErrno(error: unknown, ...codes: readonly ErrnoName[]): error is SystemError {
  return error instanceof SystemError && codes.includes(error.code);
}
