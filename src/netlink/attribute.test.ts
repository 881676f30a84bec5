import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AttributeDecoder } from "./attribute-decoder.ts";
import { AttributeEncoder } from "./attribute-encoder.ts";
import { isNetlinkError } from "./error.ts";

function encode(fill: (encoder: AttributeEncoder) => void): string {
  const encoder = new AttributeEncoder();
  fill(encoder);
  return encoder.finish().toHex();
}

/** A decoder that stands on the first attribute. */
function first(hex: string): AttributeDecoder {
  const decoder = new AttributeDecoder(Uint8Array.fromHex(hex));
  decoder.next();
  return decoder;
}

describe("AttributeEncoder (byte tables of a little-endian machine)", () => {
  const table: readonly [string, (encoder: AttributeEncoder) => void, string][] = [
    ["u8 is padded to four bytes", (e) => e.u8(1, 0xab), "05000100ab000000"],
    ["u16 is padded to four bytes", (e) => e.u16(2, 0x0102), "0600020002010000"],
    ["u32 in host order", (e) => e.u32(3, 0x01020304), "0800030004030201"],
    ["u64 in host order", (e) => e.u64(4, 0x0102030405060708n), "0c0004000807060504030201"],
    ["i32 below zero", (e) => e.i32(5, -2), "08000500feffffff"],
    ["be16 in network order", (e) => e.be16(2, 0x0102), "0600020001020000"],
    ["be32 in network order", (e) => e.be32(3, 0x01020304), "0800030001020304"],
    ["be64 in network order", (e) => e.be64(4, 0x0102030405060708n), "0c0004000102030405060708"],
    ["text with its NUL", (e) => e.text(3, "lo"), "070003006c6f0000"],
    ["text whose NUL fills the word", (e) => e.text(3, "eth"), "0800030065746800"],
    ["bytes", (e) => e.bytes(1, new Uint8Array([1, 2, 3, 4, 5])), "090001000102030405000000"],
    ["a flag has no value", (e) => e.flag(7), "04000700"],
    ["a nest is marked", (e) => e.nested(18, (inner) => inner.u8(1, 2)), "0c0012800500010002000000"],
    ["a nest without the mark", (e) => e.nested(18, (inner) => inner.u8(1, 2), 0), "0c0012000500010002000000"],
    ["an empty nest", (e) => e.nested(2, () => undefined), "04000280"],
    [
      "a struct and raw bytes, padded",
      (e) => (e.struct(2).setUint8(0, 9), e.raw(new Uint8Array([7]))),
      "0900000007000000",
    ],
  ];
  test.each(table)("%s", (_, fill, want) => {
    expect(encode(fill)).toBe(want);
  });

  test.each(table)("%s, wherever the buffer has to grow", (_, fill, want) => {
    for (let before = 480; before <= 512; before += 4) {
      const encoder = new AttributeEncoder();
      encoder.raw(new Uint8Array(before));
      fill(encoder);
      expect(encoder.finish().subarray(before).toHex()).toBe(want);
    }
  });

  test("values that do not fit are refused at once", () => {
    const encoder = new AttributeEncoder();
    expect(() => encoder.u8(1, 256)).toThrow("netlink attribute 1: 256 is not a u8");
    expect(() => encoder.u16(1, -1)).toThrow("netlink attribute 1: -1 is not a u16");
    expect(() => encoder.u32(1, 1.5)).toThrow("netlink attribute 1: 1.5 is not a u32");
    expect(() => encoder.u32(1, Number.NaN)).toThrow("is not a u32");
    expect(() => encoder.u64(1, 1n << 64n)).toThrow("is not a u64");
    expect(() => encoder.i32(1, 0x8000_0000)).toThrow("is not an i32");
    expect(() => encoder.text(1, "a\0b")).toThrow("contains a NUL byte");
    expect(() => encoder.bytes(1, new Uint8Array(65_532))).toThrow("65535 is the limit");
    expect(() => encoder.nested(1, (e) => e.bytes(1, new Uint8Array(65_528)))).toThrow("65535 is the limit");
  });

  test("a patch reaches only what was written", () => {
    const encoder = new AttributeEncoder();
    encoder.struct(8);
    encoder.patch(4, 4).setUint8(0, 1);
    expect(encoder.finish().toHex()).toBe("0000000001000000");
    expect(() => encoder.patch(6, 4)).toThrow("behind what was written");
  });
});

describe("AttributeDecoder", () => {
  test("reads what the encoder wrote", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 0x3fff }), fc.uint8Array({ maxLength: 300 }))),
        (entries) => {
          const encoder = new AttributeEncoder();
          for (const [type, value] of entries) encoder.bytes(type, value);
          const decoder = new AttributeDecoder(encoder.finish());
          const back: [number, Uint8Array][] = [];
          while (decoder.next()) back.push([decoder.type, decoder.bytes()]);
          expect(back).toEqual(entries);
          expect(decoder.fault).toBeUndefined();
        },
      ),
    );
  });

  test("reads integers, text and nests of any depth back", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff_ffff }),
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0") && text.isWellFormed()),
        fc.integer({ min: 0, max: 15 }),
        (number, big, text, depth) => {
          const fill = (encoder: AttributeEncoder, level: number): void => {
            if (level > 0) return encoder.nested(9, (inner) => fill(inner, level - 1));
            encoder.u32(1, number);
            encoder.be32(1, number);
            encoder.u64(2, big);
            encoder.be64(2, big);
            encoder.text(3, text);
          };
          const encoder = new AttributeEncoder();
          fill(encoder, depth);
          let decoder = new AttributeDecoder(encoder.finish());
          for (let level = 0; level < depth; level++) {
            decoder.next();
            decoder = decoder.nested();
          }
          const values = [];
          const reads = [
            () => decoder.u32(),
            () => decoder.be32(),
            () => decoder.u64(),
            () => decoder.be64(),
            () => decoder.text(),
          ];
          for (const read of reads) values.push(decoder.next() && read());
          expect(values).toEqual([number, number, big, big, text]);
          expect(decoder.next()).toBe(false);
          decoder.finish("read");
        },
      ),
    );
  });

  const hostile: readonly [string, string, (decoder: AttributeDecoder) => unknown, string][] = [
    ["a length below the header", "0300010000000000", (d) => d.next(), "attribute 1 claims 3 bytes where 8 are left"],
    ["a length of zero", "0000010000000000", (d) => d.next(), "attribute 1 claims 0 bytes where 8 are left"],
    ["a length behind the end", "0900010000000000", (d) => d.next(), "attribute 1 claims 9 bytes where 8 are left"],
    ["a header cut off", "0400010004", (d) => (d.next(), d.next()), "1 stray bytes behind the last attribute"],
    [
      "a value too short for its reader",
      "0500010001000000",
      (d) => d.u32(),
      "attribute 1 has 1 bytes where 4 were expected",
    ],
    [
      "a value too long for its reader",
      "0800010001000000",
      (d) => d.u8(),
      "attribute 1 has 4 bytes where 1 were expected",
    ],
    [
      "a fault inside a nest",
      "0c00018009000200ffffffff",
      (d) => d.nested().next(),
      "attribute 2 claims 9 bytes where 8 are left",
    ],
  ];
  test.each(hostile)("%s is a fault that sticks", (_, hex, read, want) => {
    const decoder = first(hex);
    read(decoder);
    expect(decoder.fault).toBe(want);
    expect(decoder.next()).toBe(false);
    expect([decoder.u8(), decoder.u32(), decoder.u64(), decoder.text(), decoder.bytes().length]).toEqual([
      0,
      0,
      0n,
      "",
      0,
    ]);
    expect(() => decoder.finish("list links")).toThrow(`list links: bad message (${want})`);
  });

  test("an unpadded last attribute is sound", () => {
    const decoder = first("0500010001");
    expect([decoder.u8(), decoder.next(), decoder.fault]).toEqual([1, false, undefined]);
  });

  test("text ends at its NUL, or at the end of the value", () => {
    expect(first("08000300657400ff").text()).toBe("et");
    expect(first("0600030065740000").text()).toBe("et");
    expect(first("0500030065000000").text()).toBe("e");
    expect(first("06000300fffe0000").text()).toBe("\ufffd\ufffd");
  });

  test("the flag bits are no part of the type", () => {
    expect(first("040001c0").type).toBe(1);
  });

  test("random bytes never throw, never loop, and at worst end in the typed error", () => {
    const walk = (decoder: AttributeDecoder): number => {
      let count = 1;
      while (decoder.next()) {
        decoder.bytes();
        decoder.text();
        count += decoder.valueBytes > 0 ? walk(decoder.nested()) : 1;
      }
      return count;
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const decoder = new AttributeDecoder(bytes);
        walk(decoder);
        try {
          decoder.finish("walk");
        } catch (error) {
          expect(isNetlinkError(error, "EBADMSG")).toBe(true);
        }
      }),
    );
  });

  test("a nesting bomb ends at the limit", () => {
    const encoder = new AttributeEncoder();
    const nest = (level: number): void => (level === 0 ? encoder.u8(1, 1) : encoder.nested(1, () => nest(level - 1)));
    nest(2000);
    let decoder = new AttributeDecoder(encoder.finish());
    let depth = 0;
    for (; decoder.next(); depth++) decoder = decoder.nested();
    expect(depth).toBe(17);
    expect(decoder.fault).toBe("attributes nest deeper than 16");
  });
});
