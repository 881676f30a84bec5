import { expect, test } from "vitest";
import { AttributeDecoder } from "../netlink/attribute-decoder.ts";
import { decodeBridgePort, setBridgePort } from "./bridge-port.ts";
import { compact, reply, wire } from "./bytes.test-data.ts";

test("what is set is sent, false included", () => {
  const request = setBridgePort("p0", { hairpin: true, isolated: false, state: 3, priority: 8, cost: 100 });
  expect(wire(request)).toBe(
    compact(`16/0 00000000 00000000 00000000 00000000
      07000300 70300000
      3c001280
        0b000400 6272696467650000
        2c000580
          05000100 03000000
          06000200 08000000
          08000300 64000000
          05000400 01000000
          05002100 00000000`),
  );
});

test("what the kernel tells is read, and what is unknown skipped", () => {
  const message = reply("05000100 03000000  05000400 01000000  0500ff00 01000000  05002100 01000000");
  const attributes = new AttributeDecoder(message.body);
  expect(decodeBridgePort(attributes)).toEqual({ state: 3, hairpin: true, isolated: true });
});
