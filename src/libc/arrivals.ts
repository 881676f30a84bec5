import { isInterrupted, systemCall } from "./call.ts";
import { Fd } from "./fd.ts";
import { addressOf, libc } from "./ffi.ts";
import { isArm64, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait } from "./system-calls.ts";
import { accept, unblock } from "./unix-socket.ts";

// include/uapi/linux/eventpoll.h
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 0x1;
const EPOLLHUP = 0x10;
const EPOLLEXCLUSIVE = 0x1000_0000;
/** struct epoll_event, packed on x86_64 only: u32 events, u64 data. */
const eventBytes = isArm64 ? 16 : 12;

/** For `next`: as long as it takes. */
export const forever = -1;

/**
 * Who connects to a listening socket that several processes accept at. One of those that wait is woken for each connection (EPOLLEXCLUSIVE),
 * not all, and a process that has something else to do as well can look without waiting.
 */
export class Arrivals implements Disposable {
  readonly #listener: Fd;
  readonly #epoll: Fd;

  /** `listener` stays the caller's, and blocks nobody any more. */
  constructor(listener: Fd) {
    unblock(listener);
    this.#listener = listener;
    const subject = `epoll of ${listener.subject}`;
    this.#epoll = new Fd(
      systemCall("epoll_create1", subject, () => libc().syscall(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0, 0)),
      subject,
    );
    const event = new Uint8Array(eventBytes);
    new DataView(event.buffer).setUint32(0, EPOLLIN | EPOLLEXCLUSIVE, true);
    systemCall("epoll_ctl", subject, () =>
      libc().syscall(SYS_epoll_ctl, this.#epoll.number, EPOLL_CTL_ADD, listener.number, addressOf(event), 0),
    );
  }

  /**
   * The next connection, for which this thread is blocked `timeoutMs` at most. "nobody" when none has come, "over" once the socket was shut
   * down, whichever process did it, and those that waited there have been taken.
   */
  next(timeoutMs: number): Fd | "nobody" | "over" {
    for (;;) {
      const events = this.#wait(timeoutMs);
      const connection = events === 0 ? undefined : accept(this.#listener);
      if (connection !== undefined) return connection;
      if (events & EPOLLHUP) return "over";
      // Another process was quicker.
      if (timeoutMs !== forever) return "nobody";
    }
  }

  #wait(timeoutMs: number): number {
    const event = new Uint8Array(eventBytes);
    let count;
    do count = libc().syscall(SYS_epoll_pwait, this.#epoll.number, addressOf(event), 1, timeoutMs, 0);
    while (isInterrupted(count, "epoll_pwait", this.#epoll.subject));
    return count === 0 ? 0 : new DataView(event.buffer).getUint32(0, true);
  }

  [Symbol.dispose](): void {
    this.#epoll[Symbol.dispose]();
  }
}
