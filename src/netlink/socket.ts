import { acknowledgementError } from "./acknowledgement.ts";
import {
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_NOOP,
  NLMSG_OVERRUN,
} from "./constants.ts";
import { isNetlinkError, malformed, NetlinkError, overrun } from "./error.ts";
import { decodeMessages, encodeMessages, messageBytes, type NetlinkMessage, type NetlinkRequest } from "./message.ts";
import { openTransport, type Transport } from "./transport.ts";

/** Keeps what one send queues as answers well under the default receive buffer of 208 KiB. */
const messagesPerSendMax = 64;
const bytesPerSendMax = 64 * 1024;
const dumpAttemptsMax = 5;
const EINTR = 4;

/** What became of one request: the messages that answered it, and the error if the kernel refused it. */
export interface Outcome {
  readonly replies: readonly NetlinkMessage[];
  readonly error: NetlinkError | undefined;
}

/** Messages around a batch that are part of the same datagram but not of the results (nfnetlink's BATCH_BEGIN and BATCH_END). */
export interface Frame {
  readonly begin: NetlinkRequest;
  readonly end: NetlinkRequest;
}

/**
 * A netlink socket, connected to the kernel: messages of other processes can't reach it. It stays bound to the network namespace
 * in which the thread was when it was opened. All failures are `NetlinkError`.
 *
 * Everything is synchronous: one send(2), then as many recv(2) as there are answers. Of several requests sent together only the
 * last is acknowledged when all is well; the kernel works them off in order and reports each failure in any case, so the last
 * acknowledgement proves that all failures are in (netlink_rcv_skb() in net/netlink/af_netlink.c).
 */
export class NetlinkSocket implements Disposable {
  readonly #transport: Transport;
  #sequence = 0;

  private constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Opens a socket of `protocol` (NETLINK_ROUTE, …) in the thread's network namespace; `subject` names it in errors. */
  static open(protocol: number, subject: string): NetlinkSocket {
    return new NetlinkSocket(openTransport(protocol, subject));
  }

  /** A socket whose datagrams go over `transport`: for tests, a scripted kernel. The socket disposes of it. */
  static over(transport: Transport): NetlinkSocket {
    return new NetlinkSocket(transport);
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]();
  }

  /** Sends one request and waits for its acknowledgement; returns the messages that came before it, mostly none. Throws. */
  request(request: NetlinkRequest): readonly NetlinkMessage[] {
    const [outcome] = this.exchange([request]);
    if (outcome?.error !== undefined) throw outcome.error;
    return outcome?.replies ?? [];
  }

  /**
   * Sends several requests, mostly in one send. The kernel carries on behind one that fails, so the results come in order: an
   * error, or undefined for success. Throws only when the conversation itself breaks down.
   */
  requestAll(requests: readonly NetlinkRequest[], frame?: Frame): (NetlinkError | undefined)[] {
    const errors: (NetlinkError | undefined)[] = [];
    for (const { error } of this.exchange(requests, frame)) errors.push(error);
    return errors;
  }

  /**
   * As `requestAll`, with the replies. A `frame` makes one datagram of all of it, however long; a failure of its begin or end
   * message is thrown, since it speaks for the whole batch.
   */
  exchange(requests: readonly NetlinkRequest[], frame?: Frame): Outcome[] {
    if (requests.length === 0) return [];
    if (frame !== undefined) {
      const [begin, ...rest] = this.#exchangeOnce([frame.begin, ...requests, frame.end], requests.length);
      const end = rest.pop();
      const error = begin?.error ?? end?.error;
      if (error !== undefined) throw error;
      return rest;
    }
    const outcomes: Outcome[] = [];
    for (const chunk of chunks(requests)) outcomes.push(...this.#exchangeOnce(chunk, chunk.length - 1));
    return outcomes;
  }

  /** Sends a GET request and returns its one reply. Throws the kernel's error (ENODEV, ENOENT, …) when there is no such object. */
  get(request: NetlinkRequest): NetlinkMessage {
    // No acknowledgement asked for: the reply is one, and an error comes anyway.
    const [outcome] = this.#exchangeOnce([request], 0, 0);
    if (outcome?.error !== undefined) throw outcome.error;
    const reply = outcome?.replies[0];
    if (reply === undefined) throw malformed(request.label, "the kernel acknowledged without a reply");
    return reply;
  }

  /**
   * Sends a dump request and returns all its messages. A dump that the kernel marks as inconsistent (NLM_F_DUMP_INTR: the table
   * changed meanwhile) is repeated; after 5 such dumps in a row it throws EINTR.
   */
  dump(request: NetlinkRequest): NetlinkMessage[] {
    for (let attempt = 0; attempt < dumpAttemptsMax; attempt++) {
      const messages = this.#dumpOnce(request);
      if (messages !== undefined) return messages;
    }
    throw new NetlinkError(request.label, EINTR, {
      note: `the table changed during ${dumpAttemptsMax} dumps in a row`,
    });
  }

  /** Reserves `count` sequence numbers in a row and returns the first. */
  #reserveSequence(count: number): number {
    // 0 is what unsolicited messages carry.
    if (this.#sequence + count > 0xffff_ffff) this.#sequence = 0;
    const first = this.#sequence + 1;
    this.#sequence += count;
    return first;
  }

  /**
   * One datagram there; answers back until the request at position `last` is acknowledged (or, without NLM_F_ACK in `lastFlags`,
   * replied to) or the begin of its frame has failed.
   */
  #exchangeOnce(requests: readonly NetlinkRequest[], last: number, lastFlags = NLM_F_ACK): Outcome[] {
    const first = this.#reserveSequence(requests.length);
    const operation = requests[last]?.label ?? "";
    this.#transport.send(encodeMessages(requests, first, last, lastFlags), operation);
    const outcomes: { replies: NetlinkMessage[]; error: NetlinkError | undefined }[] = [];
    while (outcomes.length < requests.length) outcomes.push({ replies: [], error: undefined });
    for (let done = false; !done;) {
      for (const message of this.#receive(operation)) {
        const position = message.sequence - first;
        const request = requests[position];
        const outcome = outcomes[position];
        // A number of no request here: the late answer to one that had timed out.
        if (request === undefined || outcome === undefined || message.type === NLMSG_NOOP) continue;
        if (message.type === NLMSG_OVERRUN) throw overrun(operation);
        if (message.type !== NLMSG_ERROR) {
          outcome.replies.push(message);
          done ||= position === last && lastFlags === 0;
          continue;
        }
        outcome.error ??= acknowledgementError(message, request);
        const framed = last < requests.length - 1;
        done ||= position >= last || (framed && position === 0 && outcome.error !== undefined);
      }
    }
    return outcomes;
  }

  /** Undefined when the kernel interrupted it or dropped parts. */
  #dumpOnce(request: NetlinkRequest): NetlinkMessage[] | undefined {
    const sequence = this.#reserveSequence(1);
    this.#transport.send(encodeMessages([request], sequence, 0, NLM_F_DUMP), request.label);
    const messages: NetlinkMessage[] = [];
    for (let intact = true; ;) {
      const part = this.#receivePart(request.label);
      intact &&= part !== undefined;
      for (const message of part ?? []) {
        if (message.sequence !== sequence || message.type === NLMSG_NOOP) continue;
        if ((message.flags & NLM_F_DUMP_INTR) !== 0 || message.type === NLMSG_OVERRUN) intact = false;
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const error = acknowledgementError(message, request);
          if (error !== undefined) throw error;
          return intact ? messages : undefined;
        }
        if (message.type !== NLMSG_OVERRUN) messages.push(message);
      }
    }
  }

  #receive(operation: string): NetlinkMessage[] {
    return decodeMessages(this.#transport.receive(operation), operation);
  }

  /** Undefined when the kernel had to drop something: the rest of the dump still comes and has to be read. */
  #receivePart(operation: string): NetlinkMessage[] | undefined {
    try {
      return this.#receive(operation);
    } catch (error) {
      if (isNetlinkError(error, "ENOBUFS")) return undefined;
      throw error;
    }
  }
}

/** Cuts a batch where one send would grow too long, or its answers too many. */
function chunks(requests: readonly NetlinkRequest[]): NetlinkRequest[][] {
  const all: NetlinkRequest[][] = [];
  let chunk: NetlinkRequest[] = [];
  let bytes = 0;
  for (const request of requests) {
    const more = messageBytes(request);
    if (chunk.length === messagesPerSendMax || (bytes + more > bytesPerSendMax && chunk.length > 0)) {
      all.push(chunk);
      chunk = [];
      bytes = 0;
    }
    chunk.push(request);
    bytes += more;
  }
  if (chunk.length > 0) all.push(chunk);
  return all;
}
