import { assert, property, uint8Array } from "fast-check";
import { expect, test } from "vitest";
import { fieldBytes, fieldText, fieldTexts } from "./protobuf.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.fromHex(hex.replaceAll(" ", ""));

test.each([
  ["an empty message", "", []],
  ["one text", "0a 02 6869", ["hi"]],
  ["several values of one field, others between", "0a 01 61 12 01 78 0a 01 62", ["a", "b"]],
  ["an empty value", "0a 00", [""]],
  [
    "numbers of every size before it",
    "10 ff ff ff ff ff ff ff ff ff 01 19 0102030405060708 25 01020304 0a 01 61",
    ["a"],
  ],
  ["a field number of two bytes", "82 01 01 78 0a 01 61", ["a"]],
])("%s is read", (_, hex, want) => {
  expect(fieldTexts(bytes(hex), 1)).toEqual(want);
});

test("a field that should stand once counts the last time, and is empty when it is absent", () => {
  expect(fieldText(bytes("0a 01 61 0a 01 62"), 1)).toBe("b");
  expect(fieldText(bytes("0a 01 61"), 2)).toBe("");
});

test("a value of more than 127 bytes has a length of two bytes", () => {
  const [value] = fieldBytes(Uint8Array.from([0x0a, 0x80, 0x01, ...new Uint8Array(128).fill(7)]), 1);
  expect(value).toEqual(new Uint8Array(128).fill(7));
});

test.each([
  ["a tag alone", "0a"],
  ["a value cut off", "0a 05 61"],
  ["a length that has no end", "0a ff"],
  ["a number of eleven bytes", "10 ff ff ff ff ff ff ff ff ff ff 01"],
  ["a group", "0b 0c"],
  ["a fixed number cut off", "09 0102"],
])("%s is refused", (_, hex) => {
  expect(() => fieldBytes(bytes(hex), 1)).toThrow(/^no protobuf message/);
});

test("any bytes are read or refused, never anything else", () => {
  assert(
    property(uint8Array({ maxLength: 64 }), (message) => {
      try {
        for (const value of fieldBytes(message, 1)) expect(value.length).toBeLessThanOrEqual(message.length);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
  );
});
