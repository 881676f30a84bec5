import { isInterrupted } from "./call.ts";
import { isErrno } from "./errno.ts";
import { Fd } from "./fd.ts";
import { addressOf, libc } from "./ffi.ts";
import { SYS_connect, SYS_setsockopt, SYS_socket } from "./system-calls.ts";

// include/linux/socket.h, include/linux/net.h, include/uapi/asm-generic/socket.h
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_SNDBUFFORCE = 32;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
export const MSG_TRUNC = 0x20;

/** socket(2) with SOCK_CLOEXEC; `subject` names it in later errors. */
export function socket(domain: number, type: number, protocol: number, subject: string): Fd {
  let number;
  do number = libc().syscall(SYS_socket, domain, type | SOCK_CLOEXEC, protocol, 0, 0);
  while (isInterrupted(number, "socket", subject));
  return new Fd(number, subject);
}

/** connect(2); `address` is the whole struct sockaddr. A netlink socket then gets a port id and hears only that peer. */
export function connect(fd: Fd, address: Uint8Array): void {
  let result;
  do result = libc().syscall(SYS_connect, fd.number, addressOf(address), address.length, 0, 0);
  while (isInterrupted(result, "connect", fd.subject));
}

/** setsockopt(2) of an int option. */
export function setOption(fd: Fd, level: number, name: number, value: number): void {
  const memory = new Uint8Array(4);
  new DataView(memory.buffer).setInt32(0, value, true);
  setOptionBytes(fd, level, name, memory);
}

/** How long send and receive may block before they fail with EAGAIN; 0 means for ever. */
export function setTimeouts(fd: Fd, milliseconds: number): void {
  // struct timeval: s64 tv_sec, s64 tv_usec, of which the low halves suffice.
  const memory = new Uint8Array(16);
  const timeval = new DataView(memory.buffer);
  timeval.setUint32(0, Math.floor(milliseconds / 1000), true);
  timeval.setUint32(8, Math.floor(milliseconds % 1000) * 1000, true);
  setOptionBytes(fd, SOL_SOCKET, SO_RCVTIMEO, memory);
  setOptionBytes(fd, SOL_SOCKET, SO_SNDTIMEO, memory);
}

function setOptionBytes(fd: Fd, level: number, name: number, memory: Uint8Array): void {
  let result;
  do result = libc().syscall(SYS_setsockopt, fd.number, level, name, addressOf(memory), memory.length);
  while (isInterrupted(result, "setsockopt", fd.subject));
}

/** send(2) of one datagram. */
export function send(fd: Fd, memory: Uint8Array): void {
  while (isInterrupted(libc().send(fd.number, memory, memory.length, 0), "send", fd.subject));
}

/** recv(2). With MSG_TRUNC in `flags` the result is the datagram's full length even when `memory` is shorter. */
export function receive(fd: Fd, memory: Uint8Array, flags = 0): number {
  let length;
  do length = libc().recv(fd.number, memory, memory.length, flags);
  while (isInterrupted(length, "recv", fd.subject));
  return length;
}

/** True when a blocking call gave up because of `setTimeouts`. */
export function isTimeout(error: unknown): boolean {
  return isErrno(error, "EAGAIN");
}
