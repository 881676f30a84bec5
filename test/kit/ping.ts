// ICMP echo from inside a network namespace, without ping(8): a machine may lack it, and its child would cost more than the echo.
import { type Ip, ipToBytes, parseIp } from "../../src/ip/address.ts";
import { isErrno } from "../../src/libc/errno.ts";
import type { Fd } from "../../src/libc/fd.ts";
import {
  AF_INET,
  AF_INET6,
  connect,
  isTimeout,
  receive,
  send,
  setTimeouts,
  SOCK_RAW,
  socket,
} from "../../src/libc/socket.ts";
import { Netns } from "../../src/netns/netns.ts";

// include/uapi/linux/in.h, icmp.h, icmpv6.h
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const ICMP_ECHO = 8;
const ICMP_ECHOREPLY = 0;
const ICMPV6_ECHO_REQUEST = 128;
const ICMPV6_ECHO_REPLY = 129;
const payloadBytes = 32;
/** One try; the first packet of a fresh interface may be lost to address resolution or duplicate address detection. */
const answerTimeoutMs = 250;
const receiveBytes = 2048;

/** Counted over all calls, so that a late answer is never taken for another request's. */
let lastSequence = 0;

export interface PingOptions {
  /** Tries go on until one is answered or this time is over. */
  readonly timeoutMs?: number;
}

/**
 * Sends echo requests from the namespace at `netns` to `address` until one is answered. Returns the milliseconds of the answered one;
 * throws with the reason when none was. The thread blocks meanwhile.
 */
export function ping(netns: string, address: string, { timeoutMs = 30_000 }: PingOptions = {}): number {
  const target = parseIp(address);
  if (target === undefined) throw new TypeError(`expected an IP address, found ${JSON.stringify(address)}`);
  const deadline = performance.now() + timeoutMs;
  let reason = "no answer";
  while (performance.now() < deadline) {
    lastSequence = (lastSequence + 1) & 0xffff;
    const sequence = lastSequence;
    try {
      using fd = openSocket(netns, target);
      const began = performance.now();
      send(fd, echoRequest(target, sequence));
      if (hasAnswer(fd, target, sequence)) return performance.now() - began;
    } catch (error) {
      // An address that is still being checked for duplicates, or a link that is only now coming up: both pass.
      if (!isErrno(error, "EADDRNOTAVAIL", "ENETUNREACH", "EHOSTUNREACH")) throw error;
      reason = error.message;
      Bun.sleepSync(answerTimeoutMs / 5);
    }
  }
  throw new Error(`${address} does not answer from ${netns} within ${timeoutMs} ms: ${reason}`);
}

/** A socket stays in the namespace where it was opened, so only this has to happen inside. */
function openSocket(netns: string, target: Ip): Fd {
  using namespace = Netns.open(netns);
  const isV4 = target.family === 4;
  const fd = namespace.enter(() =>
    socket(isV4 ? AF_INET : AF_INET6, SOCK_RAW, isV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, "ICMP socket"),
  );
  try {
    setTimeouts(fd, answerTimeoutMs);
    connect(fd, socketAddress(target));
    return fd;
  } catch (error) {
    fd[Symbol.dispose]();
    throw error;
  }
}

/** struct sockaddr_in or sockaddr_in6 with port 0. */
function socketAddress(target: Ip): Uint8Array {
  const isV4 = target.family === 4;
  const memory = new Uint8Array(isV4 ? 16 : 28);
  new DataView(memory.buffer).setUint16(0, isV4 ? AF_INET : AF_INET6, true);
  memory.set(ipToBytes(target), isV4 ? 4 : 8);
  return memory;
}

/** Type, code, checksum, identifier, sequence, payload (RFC 792, RFC 4443); the kernel fills in the checksum of ICMPv6. */
function echoRequest(target: Ip, sequence: number): Uint8Array {
  const memory = new Uint8Array(8 + payloadBytes);
  const view = new DataView(memory.buffer);
  view.setUint8(0, target.family === 4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST);
  view.setUint16(4, process.pid & 0xffff);
  view.setUint16(6, sequence);
  if (target.family === 4) view.setUint16(2, checksum(view));
  return memory;
}

function checksum(view: DataView): number {
  let sum = 0;
  for (let offset = 0; offset < view.byteLength; offset += 2) sum += view.getUint16(offset);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function hasAnswer(fd: Fd, target: Ip, sequence: number): boolean {
  const memory = new Uint8Array(receiveBytes);
  const view = new DataView(memory.buffer);
  const deadline = performance.now() + answerTimeoutMs;
  while (performance.now() < deadline) {
    try {
      receive(fd, memory);
    } catch (error) {
      if (isTimeout(error)) return false;
      throw error;
    }
    // IPv4 hands a raw socket the whole packet, its header's length in words in the low half of the first byte.
    const start = target.family === 4 ? (view.getUint8(0) & 0xf) * 4 : 0;
    const isReply = view.getUint8(start) === (target.family === 4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY);
    if (isReply && view.getUint16(start + 4) === (process.pid & 0xffff) && view.getUint16(start + 6) === sequence)
      return true;
  }
  return false;
}
