import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Ip, parseIp } from "../ip/address.ts";
import { isNetlinkError } from "../netlink/error.ts";
import type { NetlinkMessage } from "../netlink/message.ts";
import { decodeFlow, deleteFlow, type FlowFilter, listFlows } from "./conntrack.ts";

function ip(text: string): Ip {
  return parseIp(text) ?? expect.fail(text);
}

function received(hex: string | Uint8Array): NetlinkMessage {
  const body = typeof hex === "string" ? Uint8Array.fromHex(hex) : hex;
  return { type: 0x100, flags: 2, sequence: 1, port: 1, body };
}

const udp = 17;
/** What Linux 6.18 says of a datagram to port 5300 that goes to port 53 of another address. */
const seen4 =
  "020000003400018014000180080001007f000001080002007f0000011c000280050001001100000006000200ba8f00000600030014b400003400028014000180080001007f000035080002007f0000011c0002800500010011000000060002000035000006000300ba8f000008000300000001a8080008000000000008000c002a05bc4408000b0000000001080007000000001d";
const seen6 =
  "0a0000004c0001802c000180140003000000000000000000000000000000000114000400000000000000000000000000000000011c00028005000100110000000600020097f800000600030014b400004c0002802c000180140003000000000000000000000000000000000114000400000000000000000000000000000000011c000280050001001100000006000200003500000600030097f8000008000300000001a8080008000000000008000c00335298fc08000b0000000001080007000000001d";

describe("connections as messages (byte tables of a little-endian machine)", () => {
  const lists: readonly [string, FlowFilter, string][] = [
    [
      "by port and the address that answers",
      { family: 4, protocol: udp, destinationPort: 5300, replySource: ip("127.0.0.53") },
      "02000000180001801400028005000100110000000600030014b40000100002800c000180080001007f0000351400198008000100280000000800020001000000",
    ],
    [
      "by port alone where the kernel can't compare addresses",
      { family: 6, protocol: udp, destinationPort: 5300, replySource: ip("::1") },
      "0a000000180001801400028005000100110000000600030014b400001400198008000100280000000800020000000000",
    ],
    [
      "by protocol",
      { family: 4, protocol: udp },
      "02000000100001800c00028005000100110000001400198008000100080000000800020000000000",
    ],
  ];
  test.each(lists)("are asked for %s", (_, filter, want) => {
    const request = listFlows(filter);
    expect([request.type, request.body.toHex()]).toEqual([0x101, want]);
  });

  const flows: readonly [string, string, string, string, number][] = [
    ["IPv4", seen4, "127.0.0.1", "127.0.0.53", 47_759],
    ["IPv6", seen6, "::1", "::1", 38_904],
  ];
  test.each(flows)("of %s are read, and named to be forgotten", (_, hex, to, from, port) => {
    const flow = decodeFlow(received(hex)) ?? expect.fail();
    expect(flow).toMatchObject({
      protocol: udp,
      source: { ip: ip(to), port },
      destination: { ip: ip(to), port: 5300 },
      replySource: { ip: ip(from), port: 53 },
    });
    const request = deleteFlow(flow);
    expect(request.type).toBe(0x102);
    // The original tuple as it came, then the number.
    const tupleEnd = hex.indexOf("0002802c") > 0 ? hex.indexOf("4c000280") : hex.indexOf("34000280");
    expect(request.body.toHex()).toBe(`${hex.slice(0, tupleEnd)}${/08000c00[0-9a-f]{8}/.exec(hex)?.[0]}`);
  });

  test("of a zone are forgotten in that zone", () => {
    const flow = decodeFlow(received(`${seen4}0600120000070000`)) ?? expect.fail();
    expect(deleteFlow(flow).body.toHex()).toContain("0600120000070000");
  });

  test("of something without addresses are passed over", () => {
    expect(decodeFlow(received("020000000800030000000001"))).toBeUndefined();
  });

  test("that are random bytes are refused or passed over", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        try {
          decodeFlow(received(bytes));
        } catch (error) {
          expect(isNetlinkError(error, "EBADMSG")).toBe(true);
        }
      }),
    );
  });
});
