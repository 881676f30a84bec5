import * as fc from "fast-check";
import { type Ip, parseIp } from "../ip/address.ts";
import { type Prefix, parsePrefix } from "../ip/prefix.ts";
import { AttributeEncoder } from "../netlink/attribute-encoder.ts";
import { isNetlinkError } from "../netlink/error.ts";
import type { NetlinkMessage, NetlinkRequest } from "../netlink/message.ts";

export const mac = Uint8Array.fromHex("02005e100001");
export const net1 = { index: 7, name: "net1" };

/** One row of a byte table: what the test is called, the request, its type and flags, and its body with white space anywhere. */
export type Row = readonly [string, NetlinkRequest, string];

/** "type flags body" in hex, to compare with `compact` of a row's last field. */
export function wire(request: NetlinkRequest): string {
  return `${request.type}/${request.flags.toString(16)} ${request.body.toHex()}`;
}

/** The wanted form of `wire`: the first word stays, all other white space goes. */
export function compact(text: string): string {
  const [head = "", ...rest] = text.trim().split(/\s+/);
  return `${head} ${rest.join("")}`;
}

/** A message from the kernel whose body is given in hex, with white space anywhere. */
export function reply(hex: string): NetlinkMessage {
  return { type: 16, flags: 0, sequence: 1, port: 0, body: Uint8Array.fromHex(hex.replaceAll(/\s/g, "")) };
}

export function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new TypeError(`${text} is no address`);
  return parsed;
}

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new TypeError(`${text} is no prefix`);
  return parsed;
}

/** Bodies of every degree of soundness: noise, attributes of random content, and nests of those. */
const hostileBody = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .tuple(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.constantFrom(8, 12, 16),
      fc.array(
        fc.tuple(fc.integer({ min: 0, max: 64 }), fc.uint8Array({ maxLength: 24 }), fc.integer({ min: 0, max: 3 })),
      ),
    )
    .map(([header, headerBytes, entries]) => {
      const encoder = new AttributeEncoder();
      encoder.raw(header.subarray(0, headerBytes));
      const write = (type: number, value: Uint8Array, depth: number): void => {
        if (depth === 0) encoder.bytes(type, value);
        else encoder.nested(type, () => write(type % 7, value, depth - 1));
      };
      for (const [type, value, depth] of entries) write(type, value, depth);
      return encoder.finish();
    }),
);

/** Feeds `decode` with hostile messages: it may return anything, and throw nothing but `NetlinkError` EBADMSG. */
export function survivesHostility(decode: (message: NetlinkMessage) => unknown): void {
  fc.assert(
    fc.property(hostileBody, fc.constantFrom(0, 2, 7, 10), (body, family) => {
      if (body.length > 0) body[0] = family;
      try {
        decode({ type: 16, flags: 0, sequence: 1, port: 0, body });
      } catch (error) {
        if (!isNetlinkError(error, "EBADMSG")) throw error;
      }
    }),
    { numRuns: 500 },
  );
}
