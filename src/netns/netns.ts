import { errnoText, isErrno, SystemError } from "../libc/errno.ts";
import type { Fd } from "../libc/fd.ts";
import { fileSystemMagic, O_NONBLOCK, O_RDONLY, open, statusOf } from "../libc/file.ts";
import { CLONE_NEWNET, namespaceType, setns } from "../libc/namespace.ts";
import { Rtnl } from "../rtnl/rtnl.ts";
import { isGone, NetnsError } from "./error.ts";

// include/uapi/linux/magic.h
const NSFS_MAGIC = 0x6e73_6673;

/** The calling thread's namespace, also in a worker thread or after setns(2). */
const currentPath = "/proc/thread-self/ns/net";

/** Opens something that belongs to the network namespace of the calling thread; `subject` names the namespace in its errors. */
export type Opener<T extends Disposable> = (subject: string) => T;

/**
 * An open network namespace. It owns the descriptor and, from first use on, one rtnetlink socket that stays bound to the namespace,
 * so that work on its links needs no switching. `using` closes all of it; the namespace itself lives on.
 */
export class Netns implements Disposable {
  #rtnl: Rtnl | undefined;
  readonly #opened = new Map<Opener<Disposable>, Disposable>();

  private constructor(
    readonly path: string,
    readonly fd: Fd,
  ) {}

  /** Opens by path. Throws `NetnsError`: "missing" when nothing is there, "not-a-netns" for any other file and for a namespace of another kind. */
  static open(path: string): Netns {
    const fd = openFile(path);
    try {
      requireNetns(path, fd);
      return new Netns(path, fd);
    } catch (error) {
      fd[Symbol.dispose]();
      throw error;
    }
  }

  /** As `open`; undefined for a namespace that is gone (nothing at the path, a leftover file, or an empty path). */
  static openIfExists(path: string): Netns | undefined {
    if (path === "") return undefined;
    try {
      return Netns.open(path);
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** The namespace that the calling thread is in. */
  static current(): Netns {
    return new Netns(currentPath, open(currentPath, O_RDONLY));
  }

  /** The rtnetlink socket bound to this namespace; opened by the first call. */
  get rtnl(): Rtnl {
    this.#rtnl ??= this.enter(() => Rtnl.open(this.path));
    return this.#rtnl;
  }

  /** Opens the socket now instead of by the first use of it: for when there is time. */
  connect(): void {
    void this.rtnl;
  }

  /** What `open` opens in here: by the first call with this very function, and the same again after that. Closed with this object. */
  bound<T extends Disposable>(open: Opener<T>): T {
    const opened = this.#opened.get(open) ?? this.enter(() => open(this.path));
    this.#opened.set(open, opened);
    return opened as T;
  }

  /** True when both are the same namespace, whatever their paths. */
  isSame(other: Netns): boolean {
    const mine = statusOf(this.fd);
    const theirs = statusOf(other.fd);
    return mine.device === theirs.device && mine.inode === theirs.inode;
  }

  /**
   * Runs `body` with the calling thread inside this namespace and moves it back whatever happens. Synchronous on purpose: a promise
   * would let other work of the process run in here, and threads that the runtime starts meanwhile would stay here for ever.
   * Throws `NetnsError`: "unusable" when it may not be entered; "not-a-netns" for a namespace of another kind where the kernel could not tell
   * before.
   */
  enter<T>(body: () => T): T {
    using home = open(currentPath, O_RDONLY);
    try {
      setns(this.fd, CLONE_NEWNET);
    } catch (cause) {
      throw refusalToEnter(this.path, cause);
    }
    try {
      const result = body();
      if (result instanceof Promise) throw new TypeError("work inside a network namespace must be synchronous");
      return result;
    } finally {
      setns(home, CLONE_NEWNET);
    }
  }

  [Symbol.dispose](): void {
    for (const opened of this.#opened.values()) opened[Symbol.dispose]();
    this.#opened.clear();
    this.#rtnl?.[Symbol.dispose]();
    this.#rtnl = undefined;
    this.fd[Symbol.dispose]();
  }
}

/** What the kernel says of the descriptor itself; kernels that can't are shown what it is by setns(2). */
function requireNetns(path: string, fd: Fd): void {
  const type = namespaceType(fd);
  if (type === CLONE_NEWNET) return;
  if (type !== undefined) {
    throw new NetnsError(
      "not-a-netns",
      path,
      `${path} is not a network namespace but one of another kind; expected a path such as /run/netns/NAME or /proc/PID/ns/net`,
    );
  }
  const magic = fileSystemMagic(fd);
  if (magic === NSFS_MAGIC) return;
  throw new NetnsError(
    "not-a-netns",
    path,
    `${path} is not a network namespace (unknown FS magic on "${path}": ${magic.toString(16)}); its mount is gone or was never propagated here`,
  );
}

function refusalToEnter(path: string, cause: unknown): NetnsError {
  const code = isErrno(cause, "EINVAL") ? "not-a-netns" : "unusable";
  // setns(2) asks for it even when the namespace is the one that the thread is in.
  const cure = isErrno(cause, "EPERM")
    ? "; CAP_SYS_ADMIN is missing here: run as root, in a container as privileged"
    : "";
  return new NetnsError(code, path, `cannot enter network namespace ${path}: ${reason(cause)}${cure}`, { cause });
}

function reason(cause: unknown): string {
  return cause instanceof SystemError ? errnoText(cause.code) : String(cause);
}

function openFile(path: string): Fd {
  if (path === "") throw new NetnsError("missing", path, "no network namespace was given (CNI_NETNS is empty)");
  try {
    // Not to wait for a writer where a FIFO is given.
    return open(path, O_RDONLY | O_NONBLOCK);
  } catch (cause) {
    if (isErrno(cause, "ENOENT", "ENOTDIR")) {
      throw new NetnsError("missing", path, `network namespace ${path} does not exist`, { cause });
    }
    throw new NetnsError("unusable", path, `cannot open network namespace ${path}: ${reason(cause)}`, { cause });
  }
}
