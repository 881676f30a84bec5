import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatMac, parseMac } from "./mac.ts";

const twenty = Array.from({ length: 20 }, (_, i) => (0xa0 + i).toString(16)).join(":");

test.each([
  ["02:00:5e:10:00:01", "02:00:5e:10:00:01"],
  ["02-00-5E-10-00-0A", "02:00:5e:10:00:0a"],
  ["0200.5E10.000a", "02:00:5e:10:00:0a"],
  ["02:00:5e:10:00:00:00:01", "02:00:5e:10:00:00:00:01"],
  ["0200.5e10.0000.0001", "02:00:5e:10:00:00:00:01"],
  [twenty, twenty],
  ["02:00-5e:10:00:01", undefined],
  ["02:00:5e:10:00", undefined],
  ["02:00:5e:10:00:01:02", undefined],
  ["02:00:5e:10:00:1", undefined],
  ["2:0:5e:10:0:1", undefined],
  ["02:00:5e:10:00:0g", undefined],
  ["02:00:5e:10:00:01:", undefined],
  [" 02:00:5e:10:00:01", undefined],
  ["0200.5e10", undefined],
  ["0200:5e10:0001", undefined],
  ["", undefined],
])("%j reads as %j", (text, want) => {
  const bytes = parseMac(text);
  expect(bytes && formatMac(bytes)).toBe(want);
});

test("every address reads back from each form", () => {
  const lengths = fc.constantFrom(6, 8, 20);
  const macs = lengths.chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));
  fc.assert(
    fc.property(macs, (bytes) => {
      const text = formatMac(bytes);
      const dotted = bytes.toHex().replaceAll(/.{4}(?=.)/g, "$&.");
      for (const form of [text, text.toUpperCase(), text.replaceAll(":", "-"), dotted]) {
        expect(parseMac(form)).toEqual(bytes);
      }
    }),
  );
});
