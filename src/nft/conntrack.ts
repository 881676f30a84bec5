import { type Ip, ipFromBytes, ipToBytes } from "../ip/address.ts";
import { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import type { AttributeEncoder } from "../netlink/attribute-encoder.ts";
import { NETLINK_NETFILTER } from "../netlink/constants.ts";
import type { NetlinkError } from "../netlink/error.ts";
import { type NetlinkMessage, type NetlinkRequest, request } from "../netlink/message.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { nfgenmsgBytes } from "./constants.ts";
import { networkProtocol } from "./family.ts";

// include/uapi/linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h
const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_FILTER = 25;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;

// net/netfilter/nf_internals.h: which parts of a tuple the kernel is to compare
const CTA_FILTER_F_CTA_IP_SRC = 1 << 0;
const CTA_FILTER_F_CTA_PROTO_NUM = 1 << 3;
const CTA_FILTER_F_CTA_PROTO_DST_PORT = 1 << 5;

/** One end of a packet's way. */
export interface Endpoint {
  readonly ip: Ip;
  /** 0 for a protocol without ports. */
  readonly port: number;
}

/** A connection as the kernel tracks it. NAT shows in `reply`: what answers comes from there, not from `destination`. */
export interface Flow {
  /** IPPROTO_* of include/uapi/linux/in.h. */
  readonly protocol: number;
  /** Where the first packet came from, and where it was addressed to. */
  readonly source: Endpoint;
  readonly destination: Endpoint;
  /** Where answers come from: the destination behind DNAT. */
  readonly replySource: Endpoint;
  /** What names it to the kernel: the values of CTA_TUPLE_ORIG, CTA_ZONE and CTA_ID. */
  readonly identity: Identity;
}

interface Identity {
  readonly tuple: Uint8Array;
  readonly zone: Uint8Array | undefined;
  readonly id: Uint8Array | undefined;
}

/** Which connections are wanted; undefined is any. */
export interface FlowFilter {
  readonly family: 4 | 6;
  readonly protocol: number;
  readonly destinationPort?: number | undefined;
  readonly replySource?: Ip | undefined;
}

/**
 * Connection tracking of one network namespace: the one in which the thread was when it was opened. Failures are `NetlinkError`: EINVAL or
 * EOPNOTSUPP on a kernel that can't tell of it. Needs no conntrack(8).
 */
export class Conntrack implements Disposable {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Opens a socket in the thread's network namespace; `subject` names it in errors. */
  static open(subject: string): Conntrack {
    return new Conntrack(NetlinkSocket.open(NETLINK_NETFILTER, subject));
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  /** The connections that match. Kernels from 5.8 on send few others, older ones all of the family; both are looked through here. */
  flows(filter: FlowFilter): Flow[] {
    const found: Flow[] = [];
    for (const message of this.#socket.dump(listFlows(filter))) {
      const flow = decodeFlow(message);
      if (flow !== undefined && matches(flow, filter)) found.push(flow);
    }
    return found;
  }

  /** Forgets these connections: their next packets go through the NAT rules as first ones do. One that has ended meanwhile is fine. */
  delete(flows: readonly Flow[]): void {
    const requests: NetlinkRequest[] = [];
    for (const flow of flows) requests.push(deleteFlow(flow));
    for (const error of this.#socket.requestAll(requests)) if (!isGone(error)) throw error;
  }
}

function isGone(error: NetlinkError | undefined): boolean {
  return error === undefined || error.code === "ENOENT";
}

/**
 * All connections that match the filter. The address is left out for IPv6, where the kernel takes those that differ
 * (ctnetlink_filter_match_tuple() of net/netfilter/nf_conntrack_netlink.c tests ipv6_addr_cmp() the wrong way round).
 */
export function listFlows(filter: FlowFilter): NetlinkRequest {
  const { family, protocol, destinationPort } = filter;
  const replySource = family === 4 ? filter.replySource : undefined;
  return message("list connections", IPCTNL_MSG_CT_GET, family, (encoder) => {
    let original = CTA_FILTER_F_CTA_PROTO_NUM;
    encoder.nested(CTA_TUPLE_ORIG, (tuple) => {
      tuple.nested(CTA_TUPLE_PROTO, (proto) => {
        proto.u8(CTA_PROTO_NUM, protocol);
        if (destinationPort === undefined) return;
        original |= CTA_FILTER_F_CTA_PROTO_DST_PORT;
        proto.be16(CTA_PROTO_DST_PORT, destinationPort);
      });
    });
    if (replySource !== undefined) {
      encoder.nested(CTA_TUPLE_REPLY, (tuple) => {
        tuple.nested(CTA_TUPLE_IP, (ip) => ip.bytes(CTA_IP_V4_SRC, ipToBytes(replySource)));
      });
    }
    encoder.nested(CTA_FILTER, (flags) => {
      flags.u32(CTA_FILTER_ORIG_FLAGS, original);
      flags.u32(CTA_FILTER_REPLY_FLAGS, replySource === undefined ? 0 : CTA_FILTER_F_CTA_IP_SRC);
    });
  });
}

/** ENOENT when it is no more, or when another has taken its place. */
export function deleteFlow({ source, identity: { tuple, zone, id } }: Flow): NetlinkRequest {
  return message("delete connection", IPCTNL_MSG_CT_DELETE, source.ip.family, (encoder) => {
    encoder.nested(CTA_TUPLE_ORIG, (inner) => inner.raw(tuple));
    if (zone !== undefined) encoder.bytes(CTA_ZONE, zone);
    if (id !== undefined) encoder.bytes(CTA_ID, id);
  });
}

/** Undefined for a connection of something else than IP with a transport protocol. Throws `NetlinkError` EBADMSG for a malformed one. */
export function decodeFlow({ body }: NetlinkMessage): Flow | undefined {
  const attributes = new AttributeDecoder(body.subarray(nfgenmsgBytes));
  let original: Tuple | undefined;
  let reply: Tuple | undefined;
  let tuple: Uint8Array | undefined;
  let zone: Uint8Array | undefined;
  let id: Uint8Array | undefined;
  while (attributes.next()) {
    if (attributes.type === CTA_TUPLE_ORIG) {
      tuple = attributes.bytes();
      original = decodeTuple(attributes.nested());
    }
    if (attributes.type === CTA_TUPLE_REPLY) reply = decodeTuple(attributes.nested());
    if (attributes.type === CTA_ZONE) zone = attributes.bytes();
    if (attributes.type === CTA_ID) id = attributes.bytes();
  }
  attributes.finish("list connections");
  if (original === undefined || reply === undefined || tuple === undefined) return undefined;
  const { protocol, source, destination } = original;
  return { protocol, source, destination, replySource: reply.source, identity: { tuple, zone, id } };
}

interface Tuple {
  readonly protocol: number;
  readonly source: Endpoint;
  readonly destination: Endpoint;
}

function decodeTuple(attributes: AttributeDecoder): Tuple | undefined {
  let [from, to]: (Ip | undefined)[] = [];
  let [protocol, fromPort, toPort] = [0, 0, 0];
  while (attributes.next()) {
    const inner = attributes.nested();
    while (inner.next()) {
      if (attributes.type === CTA_TUPLE_IP) {
        if (inner.type === CTA_IP_V4_SRC || inner.type === CTA_IP_V6_SRC) from = readIp(inner);
        if (inner.type === CTA_IP_V4_DST || inner.type === CTA_IP_V6_DST) to = readIp(inner);
      } else if (attributes.type === CTA_TUPLE_PROTO) {
        if (inner.type === CTA_PROTO_NUM) protocol = inner.u8();
        if (inner.type === CTA_PROTO_SRC_PORT) fromPort = inner.be16();
        if (inner.type === CTA_PROTO_DST_PORT) toPort = inner.be16();
      }
    }
  }
  if (from === undefined || to === undefined) return undefined;
  return { protocol, source: { ip: from, port: fromPort }, destination: { ip: to, port: toPort } };
}

function readIp(attribute: AttributeDecoder): Ip | undefined {
  const bytes = attribute.bytes();
  return bytes.length === 4 || bytes.length === 16 ? ipFromBytes(bytes) : undefined;
}

function matches(flow: Flow, { family, protocol, destinationPort, replySource }: FlowFilter): boolean {
  if (flow.source.ip.family !== family || flow.protocol !== protocol) return false;
  if (destinationPort !== undefined && flow.destination.port !== destinationPort) return false;
  return replySource === undefined || flow.replySource.ip.value === replySource.value;
}

function message(
  label: string,
  type: number,
  family: 4 | 6,
  fill: (encoder: AttributeEncoder) => void,
): NetlinkRequest {
  return request(label, (NFNL_SUBSYS_CTNETLINK << 8) | type, 0, (encoder) => {
    encoder.struct(nfgenmsgBytes).setUint8(0, networkProtocol(family));
    fill(encoder);
  });
}
