import { type Ip, ipFromBytes } from "../ip/address.ts";
import { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import { align } from "../netlink/constants.ts";
import { malformed } from "../netlink/error.ts";
import type { NetlinkMessage } from "../netlink/message.ts";
import { AF_INET, AF_INET6 } from "./constants.ts";

/** A message taken apart: the fixed struct at its front and the attributes behind. */
export interface Body {
  readonly header: DataView;
  readonly attributes: AttributeDecoder;
}

/** Takes a message apart; `operation` is what the EBADMSG says failed when it is too short for its struct. */
export function openBody({ body }: NetlinkMessage, headerBytes: number, operation: string): Body {
  if (body.length < headerBytes) throw malformed(operation, `the kernel's answer has only ${body.length} bytes`);
  return {
    header: new DataView(body.buffer, body.byteOffset, headerBytes),
    attributes: new AttributeDecoder(body.subarray(align(headerBytes))),
  };
}

/** The current attribute as an address; undefined when it has neither 4 nor 16 bytes (another address family's). */
export function readIp(attributes: AttributeDecoder): Ip | undefined {
  const bytes = attributes.bytes();
  return bytes.length === 4 || bytes.length === 16 ? ipFromBytes(bytes) : undefined;
}

/** AF_INET or AF_INET6. */
export function addressFamily(family: 4 | 6): number {
  return family === 4 ? AF_INET : AF_INET6;
}

/** The inverse of `addressFamily`; undefined for every other family (multicast routing tables, bridges). */
export function ipFamily(family: number): 4 | 6 | undefined {
  if (family === AF_INET) return 4;
  return family === AF_INET6 ? 6 : undefined;
}
