import { isInterrupted } from "./call.ts";
import { Fd } from "./fd.ts";
import { addressOf, libc } from "./ffi.ts";
import { descriptorsOf, messageOf } from "./message.ts";
import { SOCK_CLOEXEC, socket, SOL_SOCKET } from "./socket.ts";
import {
  SYS_accept4,
  SYS_bind,
  SYS_fcntl,
  SYS_getsockopt,
  SYS_listen,
  SYS_recvmsg,
  SYS_shutdown,
} from "./system-calls.ts";
import { AF_UNIX, SOCK_STREAM } from "./unix-address.ts";

// include/uapi/asm-generic/socket.h, include/linux/net.h, include/linux/socket.h
const SO_PEERCRED = 17;
const SHUT_RDWR = 2;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
// include/uapi/asm-generic/fcntl.h
const F_SETFL = 4;
const F_SETOWN = 8;
const F_SETSIG = 10;
const O_NONBLOCK = 0o4000;
const O_ASYNC = 0o20000;
const SIGKILL = 9;
// include/uapi/asm-generic/errno-base.h
const EAGAIN = 11;
const EPIPE = 32;
const ECONNRESET = 104;

/** A stream socket that accepts connections at `address`, at most `backlog` of them waiting. Throws `SystemError`: EADDRINUSE. */
export function listenAt(address: Uint8Array, backlog: number, subject: string): Fd {
  const fd = socket(AF_UNIX, SOCK_STREAM, 0, subject);
  try {
    let result;
    do result = libc().syscall(SYS_bind, fd.number, addressOf(address), address.length, 0, 0);
    while (isInterrupted(result, "bind", subject));
    do result = libc().syscall(SYS_listen, fd.number, backlog, 0, 0, 0);
    while (isInterrupted(result, "listen", subject));
    return fd;
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
}

/** accept4(2) at a socket that does not block. Undefined when nobody waits. */
export function accept(listener: Fd): Fd | undefined {
  let number;
  do number = libc().syscall(SYS_accept4, listener.number, 0, 0, SOCK_CLOEXEC, 0);
  while (isInterrupted(number, "accept", listener.subject, [EAGAIN]));
  return number === -1 ? undefined : new Fd(number, `connection of ${listener.subject}`);
}

/** From now on calls on it do not block, in whichever process. */
export function unblock(fd: Fd): void {
  control(fd, F_SETFL, O_NONBLOCK);
}

/** shutdown(2) of a listening socket, for every process that has it: who connects is refused, `Arrivals` give what waits, then the end. */
export function stopListening(listener: Fd): void {
  while (
    isInterrupted(libc().syscall(SYS_shutdown, listener.number, SHUT_RDWR, 0, 0, 0), "shutdown", listener.subject)
  );
}

/** The user that the peer was when it connected, as an id of this process's user namespace. */
export function peerUser(connection: Fd): number {
  // struct ucred: s32 pid, u32 uid, u32 gid
  const credentials = new Uint8Array(12);
  const length = new Uint8Array(new Uint32Array([credentials.length]).buffer);
  let result;
  do
    result = libc().syscall(
      SYS_getsockopt,
      connection.number,
      SOL_SOCKET,
      SO_PEERCRED,
      addressOf(credentials),
      addressOf(length),
    );
  while (isInterrupted(result, "getsockopt", connection.subject));
  return new DataView(credentials.buffer).getUint32(4, true);
}

/** send(2) of a few bytes; false when the peer has gone. */
export function sendBytes(connection: Fd, bytes: Uint8Array): boolean {
  let sent;
  do sent = libc().send(connection.number, bytes, bytes.length, MSG_NOSIGNAL);
  while (isInterrupted(sent, "send", connection.subject, [EPIPE, ECONNRESET]));
  return sent === bytes.length;
}

/** What one recvmsg(2) gave. */
export interface Received {
  /** 0 at the end of the stream; undefined when nothing came in the connection's time, or the peer broke off. */
  readonly length: number | undefined;
  /** Close-on-exec, and the caller's to close; more than there was room for are closed already. */
  readonly descriptors: readonly number[];
}

/** recvmsg(2) into `memory`, with at most `most` descriptors. */
export function receiveMessage(connection: Fd, memory: Uint8Array, most: number): Received {
  const message = messageOf(memory, most);
  let length;
  do length = libc().syscall(SYS_recvmsg, connection.number, addressOf(message), MSG_CMSG_CLOEXEC, 0, 0);
  while (isInterrupted(length, "recvmsg", connection.subject, [EAGAIN, ECONNRESET]));
  return length === -1 ? { length: undefined, descriptors: [] } : { length, descriptors: descriptorsOf(message) };
}

/**
 * From now on the kernel kills this process with SIGKILL when the last of those goes who could write into a pipe, as it does when they are
 * killed, or when something is written (F_SETSIG of fcntl(2)). Not for a socket: there a reader may be woken, come here and be killed for the very
 * data that it was woken for, since the kernel tells both in turn (sock_def_readable in net/core/sock.c).
 */
export function dieWithWriters(pipe: Fd): void {
  control(pipe, F_SETOWN, process.pid);
  control(pipe, F_SETSIG, SIGKILL);
  control(pipe, F_SETFL, O_ASYNC);
}

/** Takes `dieWithWriters` back. */
export function surviveWriters(pipe: Fd): void {
  control(pipe, F_SETFL, 0);
}

function control(fd: Fd, command: number, value: number): void {
  while (isInterrupted(libc().syscall(SYS_fcntl, fd.number, command, value, 0, 0), "fcntl", fd.subject));
}
