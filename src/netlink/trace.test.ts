import * as fc from "fast-check";
import { expect, test } from "vitest";
import { NETLINK_ROUTE } from "./constants.ts";
import { encodeMessages, request } from "./message.ts";
import { formatDatagram } from "./trace.ts";

test("a request reads as a table with its nests indented", () => {
  const message = request("add", 16, 0x600, (body) => {
    body.struct(16).setUint8(0, 7);
    body.text(3, "net1");
    body.nested(18, (info) => info.u8(1, 0x41));
  });
  expect(formatDatagram("sent", NETLINK_ROUTE, encodeMessages([message], 1, 0, 4))).toMatchInlineSnapshot(`
    "sent
    ----------------        ------------------
    |  0000000056  |        | message length |
    | 00016 | R-A- |  +600  |  type | flags  |
    |  0000000001  |        | sequence number|
    |  0000000000  |        |     port ID    |
    ----------------        ------------------
    | 07 00 00 00 |        |  extra header  |
    | 00 00 00 00 |        |  extra header  |
    | 00 00 00 00 |        |  extra header  |
    | 00 00 00 00 |        |  extra header  |
    |00009|--|00003|        |len |flags| type|
    | 6e 65 74 31 |        | net1           |
    | 00          |        |                |
    |00012|N-|00018|        |len |flags| type|
    |00005|--|00001|          |len |flags| type|
    | 41          |          | A              |
    ----------------        ------------------
    "
  `);
});

test("whatever comes in, a text comes out", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(0, 12), (bytes, protocol) => {
      // A sound header in front lets the random part be read as attributes too.
      const body = formatDatagram(
        "received",
        protocol,
        encodeMessages([{ label: "", type: 16, flags: 2, body: bytes }], 1, 0, 0),
      );
      expect(body.endsWith("\n")).toBe(true);
      expect(formatDatagram("received", protocol, bytes)).toBeTypeOf("string");
    }),
  );
});
