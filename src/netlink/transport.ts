import { errnoNumber, isErrno, SystemError } from "../libc/errno.ts";
import type { Fd } from "../libc/fd.ts";
import * as libc from "../libc/socket.ts";
import { hostOrder, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK, SOL_NETLINK } from "./constants.ts";
import { NetlinkError, overrun } from "./error.ts";
import { trace, tracing } from "./trace.ts";

/** The kernel answers before send(2) returns (a dump: before the next receive), so waiting at all means that something is lost. */
const answerTimeoutMs = 10_000;
/** Parts of a dump are at most 32 KiB (netlink_dump() in net/netlink/af_netlink.c); one message may be a little more. */
const receiveBytesMax = 64 * 1024;
/** What fits the default send buffer of 208 KiB for sure; above, the socket asks for a larger one. */
const defaultSendBytes = 128 * 1024;
const sockaddrBytes = 12;
// Numbers that stand for a failure of the conversation.
const EMSGSIZE = 90;
const ETIMEDOUT = 110;

/** The edge to the kernel: whole datagrams there and back. Failures are `NetlinkError`s of `operation`. */
export interface Transport extends Disposable {
  send(datagram: Uint8Array, operation: string): void;
  /** The next datagram, as a copy of its own. ETIMEDOUT when none comes, ENOBUFS when the kernel had to drop some. */
  receive(operation: string): Uint8Array;
}

/**
 * Opens a socket of `protocol` in the thread's network namespace, connected to the kernel: messages of other processes can't reach
 * it (netlink_getsockbyportid() in net/netlink/af_netlink.c). Extended acknowledgements and strict checking of dump requests are on
 * where the kernel has them (4.12, 4.20); `subject` names the socket in errors.
 */
export function openTransport(protocol: number, subject: string): Transport {
  let fd: Fd | undefined;
  try {
    fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW, protocol, subject);
    libc.setTimeouts(fd, answerTimeoutMs);
    for (const option of [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK]) setIfKnown(fd, option);
    libc.connect(fd, kernelAddress());
    return new KernelTransport(fd, protocol);
  } catch (error) {
    fd?.[Symbol.dispose]();
    throw failure(`open netlink socket of ${subject}`, error);
  }
}

/** One for all sockets of the thread: nothing else runs between a receive and the copy out of it. */
const scratch = new Uint8Array(receiveBytesMax);

class KernelTransport implements Transport {
  readonly #fd: Fd;
  readonly #protocol: number;

  constructor(fd: Fd, protocol: number) {
    this.#fd = fd;
    this.#protocol = protocol;
  }

  send(datagram: Uint8Array, operation: string): void {
    if (tracing) trace("sent", this.#protocol, datagram);
    try {
      if (datagram.length > defaultSendBytes) this.#enlargeSendBuffer(datagram.length * 2);
      libc.send(this.#fd, datagram);
    } catch (error) {
      throw failure(operation, error);
    }
  }

  /** Root of a user namespace may not exceed net.core.wmem_max; what is still too long then is refused by send(2), EMSGSIZE. */
  #enlargeSendBuffer(bytes: number): void {
    try {
      libc.setOption(this.#fd, libc.SOL_SOCKET, libc.SO_SNDBUFFORCE, bytes);
    } catch (error) {
      if (!isErrno(error, "EPERM")) throw error;
      libc.setOption(this.#fd, libc.SOL_SOCKET, libc.SO_SNDBUF, bytes);
    }
  }

  receive(operation: string): Uint8Array {
    const length = this.#receiveIntoScratch(operation);
    if (length > scratch.length)
      throw new NetlinkError(operation, EMSGSIZE, { note: `an answer of ${length} bytes exceeds ${scratch.length}` });
    const datagram = scratch.slice(0, length);
    if (tracing) trace("received", this.#protocol, datagram);
    return datagram;
  }

  #receiveIntoScratch(operation: string): number {
    try {
      return libc.receive(this.#fd, scratch, libc.MSG_TRUNC);
    } catch (error) {
      throw failure(operation, error);
    }
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

/** struct sockaddr_nl: u16 nl_family, u16 pad, u32 nl_pid (0: the kernel), u32 nl_groups. */
function kernelAddress(): Uint8Array {
  const address = new Uint8Array(sockaddrBytes);
  new DataView(address.buffer).setUint16(0, libc.AF_NETLINK, hostOrder);
  return address;
}

/** Switches an option on, unless the kernel is too old to know it. */
function setIfKnown(fd: Fd, option: number): void {
  try {
    libc.setOption(fd, SOL_NETLINK, option, 1);
  } catch (error) {
    if (!isErrno(error, "ENOPROTOOPT", "EINVAL")) throw error;
  }
}

/** A failed system call of `operation` as `NetlinkError`, anything else as it is. */
function failure(operation: string, cause: unknown): unknown {
  if (!(cause instanceof SystemError)) return cause;
  if (libc.isTimeout(cause))
    return new NetlinkError(operation, ETIMEDOUT, { note: `no answer within ${answerTimeoutMs} ms`, cause });
  if (cause.code === "ENOBUFS") return overrun(operation, cause);
  return new NetlinkError(operation, errnoNumber(cause.code), { note: cause.call, cause });
}
