import { AttributeEncoder } from "./attribute-encoder.ts";
import { align, hostOrder, messageHeaderBytes, NLM_F_REQUEST } from "./constants.ts";
import { malformed } from "./error.ts";

/** One message to the kernel, as a value: it can be kept, printed and put into a batch before anything is sent. */
export interface NetlinkRequest {
  /** What it does, in the words of an error message: "add link net1". */
  readonly label: string;
  readonly type: number;
  /** Besides NLM_F_REQUEST, NLM_F_ACK and NLM_F_DUMP, which the socket sets. */
  readonly flags: number;
  /** Everything behind the header: the family's fixed struct and the attributes. */
  readonly body: Uint8Array;
}

/** One message from the kernel. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly port: number;
  /** What follows the header; a view of the datagram it came in. */
  readonly body: Uint8Array;
}

/** Makes a request whose body is written by `fill`; see `NetlinkRequest` for the rest. */
export function request(
  label: string,
  type: number,
  flags: number,
  fill: (encoder: AttributeEncoder) => void,
): NetlinkRequest {
  const encoder = new AttributeEncoder();
  fill(encoder);
  return { label, type, flags, body: encoder.finish() };
}

/** Bytes of a request on the wire: NLMSG_SPACE of its body. */
export function messageBytes(request: NetlinkRequest): number {
  return align(messageHeaderBytes + request.body.length);
}

/**
 * The requests as one datagram, numbered from `firstSequence`. The header of the one at position `flagged` carries `extraFlags` besides
 * what each carries, its own flags and NLM_F_REQUEST. The port id is left 0: the kernel knows the sender.
 */
export function encodeMessages(
  requests: readonly NetlinkRequest[],
  firstSequence: number,
  flagged: number,
  extraFlags: number,
): Uint8Array {
  let bytes = 0;
  for (const request of requests) bytes += messageBytes(request);
  const memory = new Uint8Array(bytes);
  const view = new DataView(memory.buffer);
  let offset = 0;
  let position = 0;
  for (const request of requests) {
    // struct nlmsghdr: u32 nlmsg_len, u16 nlmsg_type, u16 nlmsg_flags, u32 nlmsg_seq, u32 nlmsg_pid
    view.setUint32(offset, messageHeaderBytes + request.body.length, hostOrder);
    view.setUint16(offset + 4, request.type, hostOrder);
    view.setUint16(offset + 6, request.flags | NLM_F_REQUEST | (position === flagged ? extraFlags : 0), hostOrder);
    view.setUint32(offset + 8, (firstSequence + position) >>> 0, hostOrder);
    memory.set(request.body, offset + messageHeaderBytes);
    offset += messageBytes(request);
    position += 1;
  }
  return memory;
}

/**
 * The messages of one datagram, their bodies being views of it; none for an empty one. A header that is cut off or whose length
 * lies throws `NetlinkError` EBADMSG for `operation`.
 */
export function decodeMessages(datagram: Uint8Array, operation: string): NetlinkMessage[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const messages: NetlinkMessage[] = [];
  // As NLMSG_OK and NLMSG_NEXT; the padding of the last message may be missing.
  for (let offset = 0; offset < datagram.length;) {
    const rest = datagram.length - offset;
    if (rest < messageHeaderBytes) throw malformed(operation, `${rest} stray bytes behind the last message`);
    const length = view.getUint32(offset, hostOrder);
    if (length < messageHeaderBytes || length > rest)
      throw malformed(operation, `a message claims ${length} bytes where ${rest} are left`);
    messages.push({
      type: view.getUint16(offset + 4, hostOrder),
      flags: view.getUint16(offset + 6, hostOrder),
      sequence: view.getUint32(offset + 8, hostOrder),
      port: view.getUint32(offset + 12, hostOrder),
      body: datagram.subarray(offset + messageHeaderBytes, offset + length),
    });
    offset += align(length);
  }
  return messages;
}
