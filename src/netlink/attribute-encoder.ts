import { align, attributeHeaderBytes, hostOrder, NLA_F_NESTED } from "./constants.ts";

const initialBytes = 512;
/** nla_len is a u16. */
const attributeBytesMax = 0xffff;
const textEncoder = new TextEncoder();

/**
 * Writes netlink attributes (struct nlattr, include/uapi/linux/netlink.h), and the fixed structs in front of them, into a buffer
 * that grows. Integers are in host byte order; the be* methods write network byte order, which nf_tables wants.
 *
 * A value that does not fit its width, a text with a NUL inside or an attribute over 64 KiB is a RangeError at once: cut short it
 * would be a different, valid request.
 */
export class AttributeEncoder {
  #memory = new Uint8Array(initialBytes);
  #view = new DataView(this.#memory.buffer);
  #length = 0;

  /** Bytes written so far, always a multiple of 4 between attributes. */
  get length(): number {
    return this.#length;
  }

  u8(type: number, value: number): void {
    const offset = this.#integer(type, 1, value, 0xff);
    this.#view.setUint8(offset, value);
  }

  u16(type: number, value: number): void {
    const offset = this.#integer(type, 2, value, 0xffff);
    this.#view.setUint16(offset, value, hostOrder);
  }

  u32(type: number, value: number): void {
    const offset = this.#integer(type, 4, value, 0xffff_ffff);
    this.#view.setUint32(offset, value, hostOrder);
  }

  u64(type: number, value: bigint): void {
    const offset = this.#bigint(type, value);
    this.#view.setBigUint64(offset, value, hostOrder);
  }

  i32(type: number, value: number): void {
    if ((value | 0) !== value) throw outOfRange(type, value, "an i32");
    const offset = this.#attribute(type, 4);
    this.#view.setInt32(offset, value, hostOrder);
  }

  be16(type: number, value: number): void {
    const offset = this.#integer(type, 2, value, 0xffff);
    this.#view.setUint16(offset, value);
  }

  be32(type: number, value: number): void {
    const offset = this.#integer(type, 4, value, 0xffff_ffff);
    this.#view.setUint32(offset, value);
  }

  be64(type: number, value: bigint): void {
    const offset = this.#bigint(type, value);
    this.#view.setBigUint64(offset, value);
  }

  /** UTF-8 with the NUL at its end that NLA_NUL_STRING demands. */
  text(type: number, value: string): void {
    if (value.includes("\0"))
      throw new RangeError(`netlink attribute ${type}: ${JSON.stringify(value)} contains a NUL byte`);
    const bytes = textEncoder.encode(value);
    const offset = this.#attribute(type, bytes.length + 1);
    this.#memory.set(bytes, offset);
  }

  bytes(type: number, value: Uint8Array): void {
    const offset = this.#attribute(type, value.length);
    this.#memory.set(value, offset);
  }

  /** An attribute without a value, true by being there (NLA_FLAG). */
  flag(type: number): void {
    this.#attribute(type, 0);
  }

  /** What `fill` writes becomes the value. `mark` 0 leaves NLA_F_NESTED out, for the parsers that compare the raw type. */
  nested(type: number, fill: (inner: AttributeEncoder) => void, mark = NLA_F_NESTED): void {
    const start = this.#attribute(type | mark, 0) - attributeHeaderBytes;
    fill(this);
    const length = this.#length - start;
    if (length > attributeBytesMax) throw tooLong(type, length);
    this.#view.setUint16(start, length, hostOrder);
  }

  /** Reserves `bytes` zeroed bytes for a fixed struct, padded to 4, and hands out a view of them to fill at once. */
  struct(bytes: number): DataView {
    const offset = this.#reserve(bytes);
    return new DataView(this.#memory.buffer, offset, bytes);
  }

  /** Appends bytes as they are, padded to 4. */
  raw(bytes: Uint8Array): void {
    const offset = this.#reserve(bytes.length);
    this.#memory.set(bytes, offset);
  }

  /** A view of `bytes` bytes at `offset`, to set what is known only later (a length). Valid until the next write. */
  patch(offset: number, bytes: number): DataView {
    if (offset + bytes > this.#length) throw new RangeError("a patch may not reach behind what was written");
    return new DataView(this.#memory.buffer, offset, bytes);
  }

  /** What was written, as a copy of its own. */
  finish(): Uint8Array {
    return this.#memory.slice(0, this.#length);
  }

  #integer(type: number, bytes: number, value: number, max: number): number {
    if (!Number.isInteger(value) || value < 0 || value > max) throw outOfRange(type, value, `a u${bytes * 8}`);
    return this.#attribute(type, bytes);
  }

  #bigint(type: number, value: bigint): number {
    if (BigInt.asUintN(64, value) !== value) throw outOfRange(type, value, "a u64");
    return this.#attribute(type, 8);
  }

  /**
   * Writes the header and returns the offset of the value; nla_len counts the header but not the padding. It may move memory and
   * view: callers take the offset first and name the view after it.
   */
  #attribute(type: number, valueBytes: number): number {
    const length = attributeHeaderBytes + valueBytes;
    if (length > attributeBytesMax) throw tooLong(type, length);
    const offset = this.#reserve(length);
    this.#view.setUint16(offset, length, hostOrder);
    this.#view.setUint16(offset + 2, type, hostOrder);
    return offset + attributeHeaderBytes;
  }

  #reserve(bytes: number): number {
    const offset = this.#length;
    const end = offset + align(bytes);
    if (end > this.#memory.length) {
      const larger = new Uint8Array(Math.max(end, this.#memory.length * 2));
      larger.set(this.#memory);
      this.#memory = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = end;
    return offset;
  }
}

function outOfRange(type: number, value: number | bigint, width: string): RangeError {
  return new RangeError(`netlink attribute ${type}: ${value} is not ${width}`);
}

function tooLong(type: number, bytes: number): RangeError {
  return new RangeError(`netlink attribute ${type} would be ${bytes} bytes long; ${attributeBytesMax} is the limit`);
}
