import { type Ip, ipFromBytes, ipToBytes } from "../ip/address.ts";
import { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import type { AttributeEncoder } from "../netlink/attribute-encoder.ts";
import { align, hostOrder } from "../netlink/constants.ts";
import { addressFamily, readIp } from "./body.ts";
import { RTA_GATEWAY, RTA_MULTIPATH, RTA_VIA, RTNH_F_ONLINK } from "./constants.ts";
import { type Device, indexOf } from "./device.ts";

/** sizeof(struct rtnexthop) */
const rtnexthopBytes = 8;
/** sizeof(rtvia_family) of struct rtvia */
const viaFamilyBytes = 2;

/** One of several ways to a destination. */
export interface NextHop {
  readonly gateway?: Ip | undefined;
  readonly device?: Device | undefined;
  /** Share among its siblings, 1 to 256; undefined is 1. */
  readonly weight?: number | undefined;
  /** The gateway counts as on the link even though no route of ours says so. */
  readonly onlink?: boolean | undefined;
}

/** A next hop as the kernel described it. */
export interface FoundNextHop extends NextHop {
  readonly device: number;
  readonly weight: number;
  readonly onlink: boolean;
}

/** Writes a gateway for a route of `family`: RTA_GATEWAY, or RTA_VIA for one of the other family (an IPv4 route over an IPv6 router). */
export function encodeGateway(gateway: Ip, family: 4 | 6, encoder: AttributeEncoder): void {
  const bytes = ipToBytes(gateway);
  if (gateway.family === family) {
    encoder.bytes(RTA_GATEWAY, bytes);
    return;
  }
  // struct rtvia: u16 rtvia_family, u8 rtvia_addr[]
  const via = new Uint8Array(viaFamilyBytes + bytes.length);
  new DataView(via.buffer).setUint16(0, addressFamily(gateway.family), hostOrder);
  via.set(bytes, viaFamilyBytes);
  encoder.bytes(RTA_VIA, via);
}

/** Reads the current attribute, RTA_GATEWAY or RTA_VIA; undefined when it holds no IP address. */
export function readGateway(attribute: AttributeDecoder): Ip | undefined {
  if (attribute.type === RTA_GATEWAY) return readIp(attribute);
  const bytes = attribute.bytes().subarray(viaFamilyBytes);
  return bytes.length === 4 || bytes.length === 16 ? ipFromBytes(bytes) : undefined;
}

/** Writes RTA_MULTIPATH: one struct rtnexthop after the other, each with attributes of its own. */
export function encodeNextHops(hops: readonly NextHop[], family: 4 | 6, encoder: AttributeEncoder): void {
  encoder.nested(RTA_MULTIPATH, (inner) => {
    for (const hop of hops) {
      const start = inner.length;
      // struct rtnexthop: u16 rtnh_len, u8 rtnh_flags, u8 rtnh_hops (the weight less one), s32 rtnh_ifindex
      const header = inner.struct(rtnexthopBytes);
      if (hop.onlink === true) header.setUint8(2, RTNH_F_ONLINK);
      header.setUint8(3, (hop.weight ?? 1) - 1);
      if (hop.device !== undefined) header.setInt32(4, indexOf(hop.device), hostOrder);
      if (hop.gateway !== undefined) encodeGateway(hop.gateway, family, inner);
      inner.patch(start, 2).setUint16(0, inner.length - start, hostOrder);
    }
  });
}

/** Reads the value of RTA_MULTIPATH; what follows a length that lies (RTNH_OK) is left out. */
export function decodeNextHops(bytes: Uint8Array): FoundNextHop[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hops: FoundNextHop[] = [];
  for (let offset = 0; offset + rtnexthopBytes <= bytes.length;) {
    const length = view.getUint16(offset, hostOrder);
    if (length < rtnexthopBytes || offset + length > bytes.length) break;
    let gateway: Ip | undefined;
    const attributes = new AttributeDecoder(bytes.subarray(offset + rtnexthopBytes, offset + length));
    while (attributes.next())
      if (attributes.type === RTA_GATEWAY || attributes.type === RTA_VIA) gateway = readGateway(attributes);
    hops.push({
      gateway,
      device: view.getInt32(offset + 4, hostOrder),
      weight: view.getUint8(offset + 3) + 1,
      onlink: (view.getUint8(offset + 2) & RTNH_F_ONLINK) !== 0,
    });
    offset += align(length);
  }
  return hops;
}
