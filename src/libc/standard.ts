import { systemCall } from "./call.ts";
import { Fd } from "./fd.ts";
import { addressOf, libc, rareLibc } from "./ffi.ts";
import { readAll, writeAll } from "./file.ts";
import { SYS_exit_group, SYS_ioctl } from "./system-calls.ts";

// include/uapi/asm-generic/poll.h
const POLLIN = 1;
const POLLOUT = 4;
const pollfdBytes = 8;
// include/uapi/asm-generic/ioctls.h; a struct termios is smaller than this on every architecture.
const TCGETS = 0x5401;
const termiosBytes = 64;

const stdin = new Fd(0, "stdin");
const stdout = new Fd(1, "stdout");
const stderr = new Fd(2, "stderr");

/**
 * Everything on standard input as UTF-8 text. Blocks the thread, which has nothing else to do before its config is there, and so starts
 * none of the runtime's own machinery. `begun` is what was read of it before. Throws `SystemError`.
 */
export function readStandardInput(begun?: Uint8Array): string {
  const rest = readAll(stdin, () => wait(stdin, POLLIN));
  if (begun === undefined || begun.length === 0) return new TextDecoder().decode(rest);
  const all = new Uint8Array(begun.length + rest.length);
  all.set(begun);
  all.set(rest, begun.length);
  return new TextDecoder().decode(all);
}

/** Writes all of `text` on standard output, however slowly it is read. Throws `SystemError`: EPIPE, ENOSPC. */
export function writeStandardOutput(text: string): void {
  writeAll(stdout, text, () => wait(stdout, POLLOUT));
}

/** As `writeStandardOutput`, on standard error. */
export function writeStandardError(text: string): void {
  writeAll(stderr, text, () => wait(stderr, POLLOUT));
}

/** Whether standard output (1) or standard error (2) is a terminal, found out as isatty(3) does. */
export function isTerminal(fd: 1 | 2): boolean {
  const termios = new Uint8Array(termiosBytes);
  return libc().syscall(SYS_ioctl, fd, TCGETS, addressOf(termios), 0, 0) === 0;
}

/** Ends the process at once: nothing of the runtime is taken down, since the kernel frees it all. What was written is written. */
export function exitNow(status: number): never {
  libc().syscall(SYS_exit_group, status, 0, 0, 0, 0);
  throw new Error("exit_group(2) came back");
}

/** poll(2) without a time limit, for a descriptor that somebody made non-blocking. */
function wait(fd: Fd, events: number): void {
  const memory = new Uint8Array(pollfdBytes);
  const view = new DataView(memory.buffer);
  view.setInt32(0, fd.number, true);
  view.setInt16(4, events, true);
  systemCall("poll", fd.subject, () => rareLibc().poll(memory, 1, -1));
}
